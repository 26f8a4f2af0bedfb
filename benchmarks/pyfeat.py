"""py-feat's own `detect` on videos, beside our steps `faces` and `fau` with py-feat's networks: action units, speed, memory.

Each side runs in a process of its own, one after the other, on one core, with the weights that the tests make: they cost what the real
ones cost in RetinaFace and the landmark network, less in the small trees and the smallest backbone. What the faces are is nobody's
claim: a made detector finds bright spots. Needs ../shared/media; writes pyfeat.json. About two minutes on a quiet machine.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MEDIA = HERE.parents[1] / "shared" / "media"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
BRIGHT = 100.0  # few spots of the clip are as bright as that
# 30 fps, so 60 of 72 frames stand for ticks. torchcodec, and py-feat with it, ends with an error on the last frame of GRID's MPEG-1.
JOBS = {"pyfeat/single_face.mp4": ("xgb", "svm", "multitask")}


def pyav_libraries(folder: Path) -> None:
    """torchcodec looks for FFmpeg under its plain names; PyAV's wheel holds it under others."""
    import av

    for file in (Path(av.__file__).parents[1] / "av.libs").glob("lib*.so*"):
        stem, _, rest = file.name.partition(".so")
        (folder / f"{stem.rpartition('-')[0]}.so.{rest.split('.')[1] if '.' in rest else ''}").symlink_to(file)


def theirs(folder: Path) -> dict[str, Any]:
    """Every variant, from the file on."""
    import av  # noqa: F401 - loads what FFmpeg itself needs
    import feat
    import numpy as np

    from schemas.au import AU_NAMES
    from tests.pyfeat_weights import pyfeat_reads_from

    answer: dict[str, Any] = {}
    for name, variants in JOBS.items():
        for variant in variants:
            with pyfeat_reads_from(folder):
                if variant == "multitask":
                    detector = feat.Detectorv2(device="cpu", identity_model=None)
                else:
                    detector = feat.Detectorv1(au_model=variant, emotion_model=None, identity_model=None, gaze_model=None, device="cpu")
                start = time.perf_counter()
                found = detector.detect(str(MEDIA / name), data_type="video", batch_size=1, progress_bar=False)
                seconds = time.perf_counter() - start
            found = found.dropna(subset=["AU01", "FaceRectX"])
            corner, size = found[["FaceRectX", "FaceRectY"]].to_numpy(), found[["FaceRectWidth", "FaceRectHeight"]].to_numpy()
            rows = np.column_stack([found["frame"], corner + size / 2, found[list(AU_NAMES)].to_numpy()])
            answer[f"{name} {variant}"] = {"seconds": seconds, "rows": rows.tolist()}
    return answer


def ours(folder: Path) -> dict[str, Any]:
    """Faces once a video, then every variant from what they left."""
    import numpy as np

    from schemas.au import AU_NAMES
    from schemas.params import DecodeParams, FaceParams, FauParams
    from stages.faces import Faces
    from stages.pyfeat.fau import PyfeatFau
    from stages.pyfeat.observer import PyfeatObserver
    from tests.conftest import inventory_row, media
    from tests.pyfeat_weights import FILES

    weights = {
        name: next((folder / f"models--{repo.replace('/', '--')}").glob(f"snapshots/*/{file}")) for name, (repo, file) in FILES.items()
    }
    params = FaceParams(backend="pyfeat", device="cpu", min_track_ticks=1, max_faces=64)
    faces = Faces(DecodeParams(), params, PyfeatObserver(params, weights["pyfeat-retinaface"], weights["pyfeat-mobilefacenet"]))
    answer: dict[str, Any] = {}
    for name, variants in JOBS.items():
        path = MEDIA / name
        row = inventory_row(path)
        start = time.perf_counter()
        seen = faces(row, media(path))
        faces_s = time.perf_counter() - start
        looked = len(set(seen.rows["frame_index"].to_pylist()))
        patch_bytes = sum(len(cell) for cell in seen.side["patches"]["patch"].to_pylist()) / max(1, seen.rows.num_rows)
        for variant in variants:
            stage = PyfeatFau(FauParams(backend="pyfeat", variant=variant, device="cpu"), weights)
            start = time.perf_counter()
            rows = stage(seen.rows, seen.side["patches"]).rows
            fau_s = time.perf_counter() - start
            boxes = np.array(seen.rows["box"].to_pylist(), np.float64).reshape(-1, 4)
            units = np.stack([rows[au].to_numpy(zero_copy_only=False) for au in AU_NAMES], axis=1)
            table = np.column_stack([seen.rows["frame_index"].to_numpy(), (boxes[:, :2] + boxes[:, 2:]) / 2, units])
            facts = {"faces_s": faces_s, "fau_s": fau_s, "frames_looked_at": looked, "patch_bytes": patch_bytes}
            answer[f"{name} {variant}"] = {**facts, "frames": seen.side["frames"].num_rows, "rows": table.tolist()}
    return answer


def make_weights(folder: Path) -> dict[str, Any]:
    """Into the folder."""
    import stages.pyfeat.adapter  # noqa: F401 - py-feat's first import, with its effects undone
    from tests.pyfeat_weights import make_all

    make_all(folder, BRIGHT)
    return {}


def compare(their: dict[str, Any], our: dict[str, Any]) -> dict[str, Any]:
    """Every face of ours against theirs at the same place of the same frame."""
    import numpy as np

    a, b = np.array(their["rows"]), np.array(our["rows"])
    differences, unmatched = [], 0
    for row in b:
        here = a[a[:, 0] == row[0]]
        near = np.abs(here[:, 1:3] - row[1:3]).max(1) if len(here) else np.array([np.inf])
        if near.min() > 1.01:  # theirs is rounded
            unmatched += 1
        else:
            # Two boxes may have one middle: the more alike is meant.
            differences.append(np.abs(here[near <= 1.01, 3:] - row[3:]).max(1).min())
    frames, looked = len(set(a[:, 0])), our["frames_looked_at"]
    whole = our["faces_s"] + our["fau_s"]
    return {
        "faces_compared": len(differences),
        "faces_of_ours_without_a_match": unmatched,
        "faces_of_theirs": len(a),
        "largest_difference_of_any_action_unit": float(max(differences, default=float("nan"))),
        "faces_that_differ_by_more_than_1e-4": int(sum(d > 1e-4 for d in differences)),
        "frames": our["frames"],
        "frames_with_faces_theirs": frames,
        "frames_with_faces_ours": looked,
        "their_frames_per_s": our["frames"] / their["seconds"],
        "our_frames_per_s": our["frames"] / whole,
        "our_fau_step_alone_faces_per_s": len(b) / our["fau_s"],
        "ratio_ours_to_theirs": their["seconds"] / whole,
        "ratio_of_another_variant_later": their["seconds"] / our["fau_s"],
        "patch_bytes_per_face_and_tick": round(our["patch_bytes"]),
    }


def child(side: str, folder: Path) -> None:
    """One side, in this process."""
    answer = {"weights": make_weights, "theirs": theirs, "ours": ours}[side](folder)
    answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / f"{side}.json").write_text(json.dumps(answer), encoding="utf-8")


def main() -> None:
    """Measures and writes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, libraries = Path(temporary, "weights"), Path(temporary, "lib")
        libraries.mkdir()
        pyav_libraries(libraries)
        paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | ONE_THREAD | {"LD_LIBRARY_PATH": str(libraries), "TQDM_DISABLE": "1", "PYTHONPATH": paths}
        sides = {}
        for side in ("weights", "theirs", "ours"):
            subprocess.run([sys.executable, "-W", "ignore", __file__, side, str(folder)], env=environment, check=True)
            if side == "weights":
                continue
            sides[side] = json.loads((folder / f"{side}.json").read_text(encoding="utf-8"))
    result: dict[str, Any] = {key: compare(sides["theirs"][key], sides["ours"][key]) for key in sides["ours"] if key != "peak_mb"}
    result["peak_mb"] = {side: round(found["peak_mb"]) for side, found in sides.items()}
    result["load_average_at_the_end"] = os.getloadavg()[0]
    text = json.dumps(result, indent=1)
    (HERE / "pyfeat.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
