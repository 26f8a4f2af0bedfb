"""Makes the decoder really crash, hang, wait or eat memory on files with such names, in every process that a command starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GATE = "FAUSCAN_TEST_GATE"
"""Names a folder: who decodes a `gate` video writes down its process id there, and waits until the folder holds `open`."""

HANGS = "FAUSCAN_TEST_HANGS"
"""Names a file that is written when a `hang` video begins to hang."""

_HOOK = """
import importlib.util, os, sys

class Hook:
    def find_spec(self, name, path=None, target=None):
        if name != "stages.decoding":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            whole = module.scan_video

            def scan_video(path, *rest):
                if "crash" in path.name:
                    import ctypes
                    ctypes.string_at(0)
                if "hang" in path.name:
                    import ctypes
                    if os.environ.get("FAUSCAN_TEST_HANGS"):
                        open(os.environ["FAUSCAN_TEST_HANGS"], "w").close()
                    ctypes.PyDLL(None).sleep(10_000)  # holds the interpreter's lock, as a native hang does
                if "gate" in path.name:
                    import time
                    folder = os.environ["FAUSCAN_TEST_GATE"]
                    open(os.path.join(folder, str(os.getpid())), "x").close()
                    while not os.path.exists(os.path.join(folder, "open")):
                        time.sleep(0.05)
                if "bomb" in path.name:
                    import time
                    kept = []
                    while True:
                        if len(kept) < 150:  # 2.5 GB: above the limit, and nothing that endangers the machine if nobody looks
                            kept.append(b"x" * 2**24)
                        time.sleep(0.005)
                return whole(path, *rest)

            module.scan_video = scan_video

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Hook())
"""


def sabotage(folder: Path) -> dict[str, str]:
    """An environment in which the decoder behaves so."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(_HOOK, encoding="utf-8")
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(root)])}


def fauscan_in(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
