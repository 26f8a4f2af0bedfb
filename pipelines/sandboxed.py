"""Sandboxed: what runs inside a sandbox's process. Started by `sandbox.py` only."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

_PR_SET_PDEATHSIG = 1


def serve(pipe: Connection) -> None:
    """Answers tasks until the other end is gone."""
    made: tuple[bytes, Any] | None = None
    while True:
        try:
            recipe, task = pickle.loads(pipe.recv_bytes())
        except EOFError:
            return
        how = "setup"
        try:
            if made is None or made[0] != recipe:
                if made is not None:
                    _close(made[1])
                    made = None
                made = recipe, pickle.loads(recipe)()
            how = "error"
            answer: tuple[str, Any] = "answer", made[1](task)
        except Exception as error:  # noqa: BLE001 - it is raised again on the other side
            error.add_note("".join(traceback.format_exception(error)))
            answer = how, error
        pipe.send_bytes(_packed(answer))


def _packed(answer: tuple[str, Any]) -> bytes:
    how, what = answer
    try:
        data = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
        if how != "answer":
            pickle.loads(data)
    except Exception as error:  # noqa: BLE001 - an exception that holds a stream, or has arguments of its own, can't travel
        return pickle.dumps(("error", RuntimeError(f"{type(what).__name__}: {what} ({error})")))
    return data


def _close(runner: Any) -> None:
    close = getattr(runner, "close", None)
    if close is not None:
        close()


def main() -> None:
    """Dies with its parent, even in the middle of native code that never returns."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # nobody reads the dump, and writing it takes longer than the video
    if os.getppid() != int(sys.argv[2]):
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    pipe = Connection(int(sys.argv[1]))
    sys.path[:] = pickle.loads(pipe.recv_bytes())
    from pipelines.spare import spare_pandas  # noqa: PLC0415 - the path is known now

    spare_pandas()
    pipe.send_bytes(b"ready")
    serve(pipe)


if __name__ == "__main__":
    main()
