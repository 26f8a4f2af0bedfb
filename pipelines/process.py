"""Process: what every worker process sets up before it works."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading


def quiet_process() -> None:
    """One thread and no chatter: the same in every engine, so that the bytes are the same too."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ[name] = "1"
    import av.logging
    import cv2

    cv2.setNumThreads(1)
    av.logging.set_level(None)
    if "torch" in sys.modules:  # imported later it reads the variables above
        sys.modules["torch"].set_num_threads(1)
    _end_with_parent()


def _end_with_parent() -> None:
    """A pool's workers outlive a driver that is killed: each waits for the next task on a pipe that the others hold open."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()
