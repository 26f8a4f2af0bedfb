"""Makes the decoder really crash, hang, wait or eat memory on files with such names, in every process that a command starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import SINGLE_FACE

GATE = "FAUSCAN_TEST_GATE"
"""Names a folder: who decodes a `gate` video writes down its process id there, and waits until the folder holds `open`."""

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
                    ctypes.PyDLL(None).sleep(10_000)  # holds the interpreter's lock, as a native hang does
                if "gate" in path.name:
                    import time
                    folder = os.environ["FAUSCAN_TEST_GATE"]
                    open(os.path.join(folder, str(os.getpid())), "x").close()
                    while not os.path.exists(os.path.join(folder, "open")):
                        time.sleep(0.05)
                if "bomb" in path.name:
                    kept = []
                    while True:
                        kept.append(bytes(2**24))
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


def different_clips(folder: Path, *names: str) -> None:
    """The same short clip under many names, each with a digest of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        write_clip(folder / name, i)


def write_clip(path: Path, number: int) -> None:
    """The short clip, made different by a number in a box that no player reads."""
    path.write_bytes(SINGLE_FACE.path.read_bytes() + (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big"))


def fauscan_in(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
