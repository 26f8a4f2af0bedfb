"""Workers end with their driver."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DRIVER = """
import concurrent.futures, multiprocessing, os, sys, time
from pipelines.process import quiet_process

def pid(_):
    return os.getpid()

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, context, quiet_process) as pool:
        print(" ".join(str(p) for p in {*pool.map(pid, range(8))}), flush=True)
        time.sleep(600)
"""


@pytest.mark.slow
def test_workers_of_a_killed_driver_end(tmp_path: Path) -> None:
    """They used to wait for ever for a task: a killed `fauscan forge` left two of 1 GB each."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as driver:
        assert driver.stdout is not None
        workers = [int(p) for p in driver.stdout.readline().split()]
        driver.kill()
        # Ends when the last process that holds its standard output has ended.
        assert driver.stdout.read() == ""
    assert workers
    for _ in range(6000):  # closed output comes a moment before the end itself
        if not any(_runs(pid) for pid in workers):
            return
        time.sleep(0.05)
    raise AssertionError("waited for five minutes")


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
