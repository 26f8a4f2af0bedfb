"""py-feat's own `detect` on videos, beside our steps `faces` and `fau` with py-feat's networks: action units, speed, memory, and the floor.

Both sides run with the weights that the tests make, which cost what the real ones cost in RetinaFace and the landmark network, less in the
small trees and the smallest backbone. What the faces are is nobody's claim: a made detector finds bright spots, and a threshold chosen for
each clip leaves about 1.5 a picture. One thread each, in processes that stay, turn by turn; a first, uncounted turn for what each
keeps (anchors, code that oneDNN makes); medians of `turns` others. CPU seconds, because others may want the machine; wall seconds
beside them. Peak memory is that of a new process for each side and variant. Needs ../shared/media; writes pyfeat.json as it goes, and
`--resume` goes on from there. 10 minutes on a quiet machine.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MEDIA = HERE.parents[1] / "shared" / "media"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
BRIGHT = 70.0
FACES_A_PICTURE = 1.5
PICTURES, PICTURES_FULL_HD = 8, 2  # cut off each clip's beginning without touching a packet; a Full HD picture takes three seconds
TURNS = 2
SAMPLED = ("grid_s1", 7, 10)  # of 200 clips of one talker every tenth, from here on
ALL_VARIANTS = ("pyfeat/single_face.mp4", "sadtalker/art_2-RD_Radio31_000.mp4")
CROWD = ("pyfeat/single_face.mp4", 0.5)
VARIANTS = ("xgb", "svm", "multitask")


def pyav_libraries(folder: Path) -> None:
    """torchcodec looks for FFmpeg under its plain names; PyAV's wheel holds it under others."""
    import av

    for file in (Path(av.__file__).parents[1] / "av.libs").glob("lib*.so*"):
        stem, _, rest = file.name.partition(".so")
        (folder / f"{stem.rpartition('-')[0]}.so.{rest.split('.')[1] if '.' in rest else ''}").symlink_to(file)


def beginning(source: Path, target: Path) -> int:
    """The first packets of a clip's video, as they are; how many."""
    import av

    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        video = container.streams.video[0]
        wanted = PICTURES_FULL_HD if video.width * video.height > 1_000_000 else PICTURES
        stream = out.add_stream_from_template(video)
        count = 0
        for packet in container.demux(video):
            if packet.size and count < wanted:
                packet.stream = stream
                out.mux(packet)
                count += 1
    return count


class Theirs:
    """py-feat, from the file on."""

    def __init__(self, folder: Path) -> None:
        import av  # noqa: F401 - loads what FFmpeg itself needs

        import stages.pyfeat.adapter  # noqa: F401 - py-feat's first import, with its effects undone

        self._folder = folder
        self._detectors: dict[str, Any] = {}

    def detect(self, path: str, variant: str, threshold: float) -> dict[str, Any]:
        """Every frame."""
        import feat
        import numpy as np

        from schemas.au import AU_NAMES
        from tests.pyfeat_weights import pyfeat_reads_from

        if variant not in self._detectors:
            with pyfeat_reads_from(self._folder):
                if variant == "multitask":
                    self._detectors[variant] = feat.Detectorv2(device="cpu", identity_model=None)
                else:
                    options = {"emotion_model": None, "identity_model": None, "gaze_model": None, "device": "cpu"}
                    self._detectors[variant] = feat.Detectorv1(au_model=variant, **options)
        options = {"data_type": "video", "batch_size": 1, "progress_bar": False, "face_detection_threshold": threshold}
        found, seconds = _timed(lambda: self._detectors[variant].detect(path, **options))
        pictures = int(found["frame"].nunique())
        found = found.dropna(subset=["AU01", "FaceRectX"])
        corner, size = found[["FaceRectX", "FaceRectY"]].to_numpy(), found[["FaceRectWidth", "FaceRectHeight"]].to_numpy()
        rows = np.column_stack([found["frame"], corner + size / 2, found[list(AU_NAMES)].to_numpy()])
        return {"seconds": seconds, "pictures": pictures, "rows": rows.tolist()}

    def reads(self, path: str) -> str | None:
        """Why py-feat can't read a video, None if it can."""
        from feat.data import VideoDataset

        try:
            frames = VideoDataset(path)
            for i in range(len(frames)):
                frames[i]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return " ".join(f"{type(error).__name__}: {error}".split())[:160]
        return None


class Ours:
    """Faces of a video, then a variant from what they left."""

    def __init__(self, folder: Path) -> None:
        from tests.pyfeat_weights import FILES

        self._weights = {
            name: next((folder / f"models--{repo.replace('/', '--')}").glob(f"snapshots/*/{file}")) for name, (repo, file) in FILES.items()
        }
        self._faces: Any = None
        self._threshold = 0.5
        self._fau: dict[str, Any] = {}

    def detect(self, path: str, variant: str, threshold: float) -> dict[str, Any]:
        """Every frame that is some tick's nearest."""
        import numpy as np

        from schemas.au import AU_NAMES
        from schemas.params import FauParams
        from stages.pyfeat.fau import PyfeatFau
        from tests.conftest import inventory_row, media

        row = inventory_row(Path(path))
        self._at(threshold)
        if variant not in self._fau:
            self._fau[variant] = PyfeatFau(FauParams(backend="pyfeat", variant=variant, device="cpu"), self._weights)
        seen, faces_s = _timed(lambda: self._faces(row, media(Path(path))))
        patches = seen.side["patches"]
        result, fau_s = _timed(lambda: self._fau[variant](seen.rows, patches))
        boxes = np.array(seen.rows["box"].to_pylist(), np.float64).reshape(-1, 4)
        units = np.stack([result.rows[au].to_numpy(zero_copy_only=False) for au in AU_NAMES], axis=1)
        table = np.column_stack([seen.rows["frame_index"].to_numpy(), (boxes[:, :2] + boxes[:, 2:]) / 2, units])
        answer = {"faces_s": faces_s, "fau_s": fau_s, "seconds": [faces_s[0] + fau_s[0], faces_s[1] + fau_s[1]], "rows": table.tolist()}
        bytes_of_patches = sum(len(cell) for cell in patches["patch"].to_pylist())
        return answer | {"pictures": self._looked_at, "frames": seen.side["frames"].num_rows, "patch_bytes": bytes_of_patches}

    def floor(self, path: str, _variant: str, _threshold: float) -> dict[str, Any]:
        """RetinaFace's layers alone, and decoding alone, on the frames of a video; and scores of the spots of each picture."""
        import numpy as np
        import torch

        from schemas.params import DecodeParams
        from stages.decoding import Damage, scan_video
        from stages.pyfeat.adapter import FaceNet

        frames, decode_s = _timed(lambda: [f.rgb() for f in scan_video(Path(path), 0, 0, DecodeParams(), Damage())])
        net = FaceNet(self._weights["pyfeat-retinaface"], "cpu", 0.5)
        seconds, scores = [], []
        with torch.inference_mode():
            for rgb in frames:
                stack = torch.from_numpy(np.stack([rgb])).permute(0, 3, 1, 2).float().contiguous()
                scores.append(net(stack)[0][:, 4].tolist())
                seconds.append(_timed(lambda stack=stack: net._net.net(stack))[1])
        forward_s = np.median(np.array(seconds), axis=0).tolist()
        return {"decode_s": [one / len(frames) for one in decode_s], "forward_s": forward_s, "frames": len(frames), "scores": scores}

    def _at(self, threshold: float) -> None:
        from schemas.params import DecodeParams, FaceParams
        from stages.faces import Faces
        from stages.pyfeat.observer import PyfeatObserver

        params = FaceParams(backend="pyfeat", device="cpu", min_track_ticks=1, max_faces=64, min_detection_score=threshold)
        if self._faces is None or threshold != self._threshold:
            observer = PyfeatObserver(params, self._weights["pyfeat-retinaface"], self._weights["pyfeat-mobilefacenet"])

            def watched(shown: Any) -> Any:
                for one in observer(shown):
                    self._looked_at += 1
                    yield one

            self._faces, self._threshold = Faces(DecodeParams(), params, watched), threshold
        self._looked_at = 0


def _timed(call: Callable[[], Any]) -> tuple[Any, list[float]]:
    """What it answers; CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    answer = call()
    return answer, [time.process_time() - cpu, time.perf_counter() - wall]


def serve(side: str, folder: Path) -> None:
    """Answers questions, a line of JSON each, until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr
    worker = {"theirs": Theirs, "ours": Ours}[side](folder)
    for line in sys.stdin:
        question, *arguments = json.loads(line)
        answer = getattr(worker, question)(*arguments)
        print(json.dumps([answer, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), file=answers, flush=True)


class Side:
    """A process that serves."""

    def __init__(self, side: str, folder: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, "-W", "ignore", __file__, side, str(folder)]
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=2, text=True)
        self.peak_mb = 0.0

    def __call__(self, *question: Any) -> Any:
        """Its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer, self.peak_mb = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> float:
        """Ends it; its peak memory in MB."""
        self._process.communicate()
        return self.peak_mb


def alike(their: dict[str, Any], our: dict[str, Any]) -> dict[str, Any]:
    """Every face of ours against theirs at the same place of the same frame."""
    import numpy as np

    a, b = np.array(their["rows"]).reshape(-1, 23), np.array(our["rows"]).reshape(-1, 23)
    differences, unmatched = [], 0
    for row in b:
        here = a[a[:, 0] == row[0]]
        near = np.abs(here[:, 1:3] - row[1:3]).max(1) if len(here) else np.array([np.inf])
        if near.min() > 1.01:  # theirs is rounded
            unmatched += 1
        else:
            # Two boxes may have one middle: the more alike is meant.
            differences.append(np.abs(here[near <= 1.01, 3:] - row[3:]).max(1).min())
    return {
        "faces_compared": len(differences),
        "faces_of_ours_without_a_match": unmatched,
        "faces_of_theirs": len(a),
        "largest_difference_of_any_action_unit": float(max(differences)) if differences else None,
        "faces_that_differ_by_more_than_1e-4": int(sum(d > 1e-4 for d in differences)),
    }


def beside(theirs: Side, ours: Side, path: Path, variant: str, threshold: float) -> dict[str, Any]:
    """Turn by turn; the first does not count."""
    turns = [(theirs("detect", str(path), variant, threshold), ours("detect", str(path), variant, threshold)) for _ in range(TURNS + 1)]
    their, our = turns[-1]

    def ms(side: int, key: str, clock: int, pictures: int) -> float:
        return 1e3 * statistics.median(turn[side][key][clock] for turn in turns[1:]) / pictures

    their_ms, our_ms = ms(0, "seconds", 0, their["pictures"]), ms(1, "seconds", 0, our["pictures"])
    num_faces = max(1, len(our["rows"]))
    return {
        "turns": len(turns) - 1,
        "pictures_theirs": their["pictures"],
        "pictures_ours": our["pictures"],
        "faces_a_picture_theirs": round(len(their["rows"]) / their["pictures"], 2),
        "their_cpu_ms_a_picture": round(their_ms, 1),
        "our_cpu_ms_a_picture": round(our_ms, 1),
        "our_faces_step_cpu_ms_a_picture": round(ms(1, "faces_s", 0, our["pictures"]), 1),
        "our_fau_step_cpu_ms_a_face": round(ms(1, "fau_s", 0, num_faces), 1) if our["rows"] else None,
        "their_wall_ms_a_picture": round(ms(0, "seconds", 1, their["pictures"]), 1),
        "our_wall_ms_a_picture": round(ms(1, "seconds", 1, our["pictures"]), 1),
        "speed_a_picture_ours_to_theirs": round(their_ms / our_ms, 3),
        "speed_a_frame_of_the_clip_ours_to_theirs": round(their_ms * their["pictures"] / (our_ms * our["pictures"]), 3),
        "ours_as_soon_as_another_variant_is_asked_for": (
            round(their_ms * their["pictures"] / ms(1, "fau_s", 0, 1), 1) if our["rows"] else None
        ),
        "patch_bytes_a_face_and_tick": round(our["patch_bytes"] / num_faces),
        **alike(their, our),
    }


def few(scores: list[list[float]]) -> float:
    """The threshold that leaves about `FACES_A_PICTURE`, between two scores."""
    flat = sorted((score for one in scores for score in one), reverse=True)
    place = min(round(FACES_A_PICTURE * len(scores)), len(flat) - 1)
    return 0.5 if place < 1 else max(0.5, (flat[place - 1] + flat[place]) / 2)


def rate_of(path: Path) -> float:
    """Frames a second."""
    import av

    with av.open(str(path)) as container:
        return float(container.streams.video[0].average_rate or 0)


def save(result: dict[str, Any]) -> None:
    """What is known so far."""
    (HERE / "pyfeat.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(folder: Path, environment: dict[str, str], cut: Path, result: dict[str, Any]) -> None:
    """Adds to the result what it lacks."""
    from tests.pyfeat_weights import make_all

    make_all(folder, BRIGHT)
    theirs, ours = Side("theirs", folder, environment), Side("ours", folder, environment)
    clips = sorted(p for p in MEDIA.rglob("*") if p.suffix in (".mp4", ".mov", ".mpg"))
    many, first, step = SAMPLED
    left_out = {clip for i, clip in enumerate(c for c in clips if c.parent.name == many) if i % step != first}
    clips = [clip for clip in clips if clip not in left_out]
    failures = {str(p.relative_to(MEDIA)): why for p in clips if (why := theirs("reads", str(p))) is not None}
    failed: dict[str, list[str]] = {}
    for clip, why in failures.items():
        failed.setdefault(why, []).append(clip)
    result["not_read_by_pyfeat"] = {
        why: names if len(names) <= 12 else f"{len(names)} clips, {names[0]} first" for why, names in failed.items()
    }
    found = result.setdefault("clips", {})
    for clip in clips:
        name = str(clip.relative_to(MEDIA))
        if name in failures:
            continue
        path = cut / name.replace("/", "-")
        beginning(clip, path)
        own = found.setdefault(name, {"rate_hz": round(rate_of(clip), 3)})
        if "detection_threshold" not in own:
            floor = ours("floor", str(path), "", 0.0)
            clocks = {"retinaface_forward": floor["forward_s"], "decode": floor["decode_s"]}
            own["floor_cpu_ms_a_picture"] = {what: round(1e3 * seconds[0], 1) for what, seconds in clocks.items()}
            own["detection_threshold"] = few(floor["scores"])
        for variant in VARIANTS if name in ALL_VARIANTS else VARIANTS[:1]:
            if variant not in own:
                own[variant] = beside(theirs, ours, path, variant, own["detection_threshold"])
                save(result)
    name, threshold = CROWD
    path = cut / name.replace("/", "-")
    crowd = result.setdefault("crowd", {"clip": name})
    for variant in VARIANTS:
        if variant not in crowd:
            crowd[variant] = beside(theirs, ours, path, variant, threshold)
            save(result)
    theirs.close(), ours.close()
    memory = result.setdefault("peak_mb_in_the_crowd", {})
    for variant in VARIANTS:
        for side in ("theirs", "ours"):
            if side not in memory.setdefault(variant, {}):
                process = Side(side, folder, environment)
                process("detect", str(path), variant, threshold)
                memory[variant][side] = round(process.close())
                save(result)
    rates = {name: own["xgb"]["speed_a_frame_of_the_clip_ours_to_theirs"] for name, own in found.items() if own["rate_hz"] == 25}
    result["speed_where_both_look_at_every_frame_25_fps_xgb"] = rates
    result["median_speed_a_picture_xgb"] = statistics.median(own["xgb"]["speed_a_picture_ours_to_theirs"] for own in found.values())
    result["load_average_at_the_end"] = os.getloadavg()[0]
    save(result)


def main() -> None:
    """Measures and writes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, libraries, cut = Path(temporary, "weights"), Path(temporary, "lib"), Path(temporary, "cut")
        libraries.mkdir()
        cut.mkdir()
        pyav_libraries(libraries)
        paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        environment = (
            os.environ | ONE_THREAD | {"LD_LIBRARY_PATH": str(libraries), "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths}
        )
        known = json.loads((HERE / "pyfeat.json").read_text(encoding="utf-8")) if sys.argv[1:] == ["--resume"] else {}
        measure(folder, environment, cut, known)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    if len(sys.argv) > 2:
        serve(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
