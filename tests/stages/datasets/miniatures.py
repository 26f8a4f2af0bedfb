"""Miniatures: each dataset in its true layout, as {uri: bytes}, with the quirks of its release."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from stages.datasets import Found, Reading, Truth, detect, read, share
from stages.datasets.contract import OpenFile, Options

Video = Callable[[str], bytes]
"""Bytes of the video at a uri below the dataset's folder."""


def stub(_: str) -> bytes:
    """No video at all: adapters don't look into them."""
    return b""


def opener(archive: Mapping[str, bytes]) -> OpenFile:
    """`open_file` of a miniature; a file that is not there is an OSError, as in a real archive."""

    def open_file(uri: str) -> BinaryIO:
        if uri not in archive:
            raise FileNotFoundError(f"no such file: {uri}")
        return io.BytesIO(archive[uri])

    return open_file


def write(archive: Mapping[str, bytes], folder: Path) -> Path:
    """Puts a miniature into a folder."""
    for uri, data in archive.items():
        path = folder / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def only(archive: Mapping[str, bytes], options: Options | None = None) -> tuple[Found, Reading]:
    """The one dataset that detection finds, read."""
    (found,) = detect(list(archive))
    return found, read(found.name, found.root, archive.keys(), opener(archive), options)


def by_uri(reading: Reading) -> dict[str, Truth]:
    return {truth.uri: truth for truth in reading.rows()}


def whats(reading: Reading, kind: str) -> list[tuple[str, str]]:
    """Uri and text of the mismatches of a kind."""
    return [(m.uri, m.what) for m in reading.mismatches if m.kind == kind]


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


FAKEAVCELEB_HEADER = "source,target1,target2,method,category,type,race,gender,path,"
"""As released: the tenth column has no name, and `path` is the file's name."""

_FAKEAVCELEB_ROWS = (
    "id00076,-,-,real,A,RealVideo-RealAudio,African,men,00109.mp4",
    "id00076,id00476,-,rtvc,B,RealVideo-FakeAudio,African,men,00109_fake.mp4",
    "id00076,id00476,-,wav2lip,C,FakeVideo-RealAudio,African,men,00109_10_id00476_wavtolip.mp4",
    "id00076,id00701,id00476,faceswap-wav2lip,D,FakeVideo-FakeAudio,African,men,00109_2_id00701_wavtolip.mp4",
    "id06776,-,-,real,A,RealVideo-RealAudio,Asian (East),men,00021.mp4",
    # The one cloned voice without `_fake`: the same name under two types.
    "id06776,-,-,rtvc,B,RealVideo-FakeAudio,Asian (East),men,00021.mp4",
    "id06776,1,-,faceswap,C,FakeVideo-RealAudio,Asian (East),men,00021.mp4",
    "id06776,id06776,zVq,fsgan,C,FakeVideo-RealAudio,Asian (East),men,00021_id00076_zVq_s1k.mp4",
    "id06776,id1,-,wav2lip,D,FakeVideo-FakeAudio,Asian (East),men,00021_id1_wavtolip.mp4",
    "id00076,id00701,-,wav2lip,D,FakeVideo-FakeAudio,African,men,00109_2_id00701_wavtolip.mp4",
    "id05479,-,-,real,A,RealVideo-RealAudio,Caucasian (European),women,05479.mp4",
    "id05479,N.mp4,-,fsgan-wav2lip,D,FakeVideo-FakeAudio,Caucasian (European),women,00311_N_id05479_wavtolip.mp4",
)


def fakeavceleb(video: Video = stub, root: str = "FakeAVCeleb_v1.2/") -> dict[str, bytes]:
    """12 rows of 11 files; the second to last of the men's is listed twice, with two methods."""
    lines, files = [FAKEAVCELEB_HEADER], {}
    for row in _FAKEAVCELEB_ROWS:
        cells = row.split(",")
        folder = f"{cells[5]}/{cells[6]}/{cells[7]}/{cells[0]}"
        lines.append(f"{row},FakeAVCeleb/{folder}")
        files[f"{root}{folder}/{cells[8]}"] = video(f"{folder}/{cells[8]}")
    return {f"{root}meta_data.csv": "\n".join([*lines, ""]).encode(), **files}


def lavdf_row(
    file: str, spans: list[list[float]] | None = None, streams: str = "", original: str | None = None, **more: Any
) -> dict[str, Any]:
    """A row as in the release: the duration is 0.128 s more than the sound, and longer than both streams."""
    frames = more.pop("video_frames", 103)
    samples = frames * 640 - 384
    return {
        "file": file,
        "n_fakes": len(spans or []),
        "fake_periods": spans or [],
        "timestamps": [["not", 0.0, 0.2], ["life", 3.8, 4.0]],
        "duration": round(samples / 16_000 + 0.128, 3),
        "transcript": "not life",
        "original": original,
        "modify_video": "v" in streams,
        "modify_audio": "a" in streams,
        "split": file.split("/", 1)[0],
        "video_frames": frames,
        "audio_channels": 1,
        "audio_frames": samples,
    } | more


def lavdf(video: Video = stub, root: str = "LAV-DF/", name: str = "metadata.json") -> dict[str, bytes]:
    """Two reals, a fake of each kind, one whose last span ends after the duration; caches of other readers."""
    rows = [
        lavdf_row("train/000000.mp4"),
        lavdf_row("train/000001.mp4", [[1.16, 1.6]], "v", "train/000000.mp4"),
        lavdf_row("train/000002.mp4", [[1.24, 1.6], [0.2, 0.5]], "a", "train/000000.mp4"),
        lavdf_row("dev/000003.mp4"),
        lavdf_row("dev/000004.mp4", [[0.4, 0.9]], "av", "dev/000003.mp4"),
        lavdf_row("test/000005.mp4", [[3.9, 4.9]], "v", "test/000006.mp4"),
    ]
    if name == "metadata.min.json":
        rows = [{key: value for key, value in row.items() if key not in {"timestamps", "transcript"}} for row in rows]
    files = {f"{root}{row['file']}": video(row["file"]) for row in rows}
    caches = {f"{root}label/000001.npy": b"\x93NUMPY", f"{root}match_scores/000001.npz": b"PK"}
    return {f"{root}{name}": as_json(rows), f"{root}README.md": b"LAV-DF", **caches, **files}


def av1m_row(file: str, kind: str, segments: list[list[float]] | None = None, **more: Any) -> dict[str, Any]:
    """A row of AV-Deepfake1M."""
    spans = segments or []
    return {
        "file": file,
        "original": None if kind == "real" else f"{file.rpartition('/')[0]}/real.mp4",
        "split": "train",
        "modify_type": kind,
        "audio_model": "vits" if kind in {"audio_modified", "both_modified"} else None,
        "fake_segments": spans,
        "audio_fake_segments": spans if kind in {"audio_modified", "both_modified"} else [],
        "visual_fake_segments": spans if kind in {"visual_modified", "both_modified"} else [],
        "video_frames": 174,
        "audio_frames": 111_680,
    } | more


_CLIP = "id06744/_c3CCbnZEbU/00011"


def avdeepfake1m(video: Video = stub, root: str = "AV-Deepfake1M/", folder: str | None = None, per_video: bool = False) -> dict[str, bytes]:
    """One speaker in train, one in val, unlabelled tests; one row with a segment in the stream that was not altered.

    Args:
        video: bytes of each.
        root: folder of the dataset.
        folder: `data` for the other place where the authors' readers look.
        per_video: a JSON file for each video, no list.
    """
    train = [
        av1m_row(f"{_CLIP}/real.mp4", "real", original="dev/mp4/id06744/_c3CCbnZEbU/00011.mp4"),
        av1m_row(f"{_CLIP}/real_video_fake_audio.mp4", "audio_modified", [[1.0, 1.5], [2.0, 2.2]], visual_fake_segments=[[2.0, 2.2]]),
        av1m_row(f"{_CLIP}/fake_video_real_audio.mp4", "visual_modified", [[1.0, 1.5]]),
        av1m_row(f"{_CLIP}/fake_video_fake_audio.mp4", "both_modified", [[1.0, 1.5]], audio_fake_segments=[[1.0, 1.4]]),
    ]
    val = [av1m_row("id00012/abc/00001/real.mp4", "real", split="val", original=None)]
    archive = {f"{root}test_files.txt": b"000001.mp4\n000002.mp4\n", f"{root}test/000001.mp4": video("test/000001.mp4")}
    for subset, rows in (("train", train), ("val", val)):
        if not per_video:
            archive[f"{root}{subset}_metadata.json"] = as_json(rows)
        for row in rows:
            archive[f"{root}{folder or subset}/{row['file']}"] = video(f"{subset}/{row['file']}")
            if per_video:
                archive[f"{root}{subset}_metadata/{row['file'].removesuffix('.mp4')}.json"] = as_json(row)
    return archive


def avdeepfake1mpp(video: Video = stub, root: str = "AV-Deepfake1M-PlusPlus/", per_video: bool = False) -> dict[str, bytes]:
    """The three corpora, a silent fake, a part of a real clip, and both test sets."""
    vox, lrs, silent = "vox_celeb_2/id01358/_1nATum8x78/00030", "lrs3/0Fi83BHQsMA/00002", "silent_videos/subject_7_ab12_vid_3_1"
    rows = [
        av1m_row(f"{vox}/real.mp4", "real", original="VoxCeleb2/dev/mp4/id01358/_1nATum8x78/00030.mp4", video_model=None),
        av1m_row(f"{vox}/real_p1.mp4", "real", original=f"{vox}/real.mp4", video_model=None),
        av1m_row(f"{vox}/fake_video_fake_audio.mp4", "both_modified", [[0.5, 0.9]], video_model="Talklip", audio_model="yourtts"),
        av1m_row(f"{lrs}/fake_video_real_audio.mp4", "visual_modified", [[0.5, 0.9]], video_model="diff2lip", original=f"{lrs}/real.mp4"),
        av1m_row(f"{silent}/real.mp4", "real", original=None, video_model=None, audio_frames=0),
        av1m_row(f"{silent}/fake_video_real_audio.mp4", "visual_modified", [[0.0, 1.0]], video_model="Talklip", audio_frames=0),
    ]
    rows = [row | {"split": "val"} for row in rows]
    archive = {
        f"{root}testA_files.txt": b"000001.mp4\r\n",
        f"{root}testA/000001.mp4": video("testA/000001.mp4"),
        f"{root}testB/000002.mp4": video("testB/000002.mp4"),
    }
    if not per_video:
        archive[f"{root}val_metadata.json"] = as_json(rows)
    for row in rows:
        archive[f"{root}val/{row['file']}"] = video(f"val/{row['file']}")
        if per_video:
            archive[f"{root}val/{row['file'].removesuffix('.mp4')}.json"] = as_json(row)
    return archive


def dfdc(video: Video = stub, root: str = "DFDC/") -> dict[str, bytes]:
    """Two train parts, one of them unpacked a level deeper, the sample, validation and test."""
    tables: dict[str, Any] = {
        "dfdc_train_part_00/dfdc_train_part_0/": {
            "awnfpubqmo.mp4": {"label": "FAKE", "split": "train", "original": "lnhkjhyhvw.mp4"},
            "lnhkjhyhvw.mp4": {"label": "REAL", "split": "train"},
        },
        "dfdc_train_part_1/": {"bbbbbbbbbb.mp4": {"label": "FAKE", "split": "train", "original": "lnhkjhyhvw.mp4"}},
        "train_sample_videos/": {"vpmyeepbep.mp4": {"label": "REAL", "split": "train", "original": None}},
        "test/": {"aalscayrfi.mp4": {"augmentations": {"fps": 15}, "is_fake": 0}, "ffffffffff.mp4": {"augmentations": {}, "is_fake": 1}},
    }
    archive: dict[str, bytes] = {}
    for folder, table in tables.items():
        archive[f"{root}{folder}metadata.json"] = as_json(table)
        archive |= {f"{root}{folder}{name}": video(folder + name) for name in table}
    archive[f"{root}test/labels.csv"] = b"filename,label\r\naalscayrfi.mp4,0\r\nffffffffff.mp4,1\r\n"
    archive[f"{root}validation/labels.csv"] = b"filename,label\ncccccccccc.mp4,1\ndddddddddd.mp4,0\n"
    return archive | {f"{root}validation/{name}.mp4": video(f"validation/{name}.mp4") for name in ("cccccccccc", "dddddddddd")}


def dfdcp(video: Video = stub, root: str = "DFDCP/") -> dict[str, bytes]:
    """DFDC Preview: one real and a fake of it by each method."""
    table = {
        "original_videos/643669/643669_K_000.mp4": {"label": "real", "set": "train", "augmentations": []},
        "method_A/643669/643669_K/1064213_643669_K_000.mp4": {"label": "fake", "set": "train", "augmentations": []},
        "method_B/643669/643669_K/1224068_643669_K_000.mp4": {"label": "fake", "set": "test"},
    }
    return {f"{root}dataset.json": as_json(table), **{root + name: video(name) for name in table}}


def faceforensics(video: Video = stub, root: str = "FaceForensics++/") -> dict[str, bytes]:
    """Pairs in both orders, all compressions, masks, DFD."""
    splits = {"train": [["071", "054"]], "val": [["720", "672"]], "test": [["953", "974"], ["012", "026"]]}
    names = [
        "original_sequences/youtube/raw/videos/953.mp4",
        "original_sequences/youtube/c23/videos/071.mp4",
        "original_sequences/actors/c40/videos/01__walk_down_hall_angry.mp4",
        "manipulated_sequences/Deepfakes/raw/videos/953_974.mp4",
        "manipulated_sequences/Face2Face/c40/videos/974_953.mp4",
        "manipulated_sequences/FaceSwap/c0/videos/720_672.mp4",
        "manipulated_sequences/NeuralTextures/c23/videos/054_071.mp4",
        "manipulated_sequences/FaceShifter/c23/videos/071_054.mp4",
        "manipulated_sequences/DeepFakeDetection/c40/videos/01_02__walk_down_hall_angry__YVGY8LOK.mp4",
        "manipulated_sequences/Deepfakes/masks/videos/953_974.mp4",
    ]
    lists = {f"{root}splits/{name}.json": as_json(pairs) for name, pairs in splits.items()}
    return {f"{root}conversion_dict.json": b"{}", **lists, **{root + name: video(name) for name in names}}


def celebdf(video: Video = stub, root: str = "Celeb-DF-v2/") -> dict[str, bytes]:
    """Reals of both kinds, fakes, and the list in which 1 means real."""
    names = ["Celeb-real/id1_0007.mp4", "Celeb-real/id0_0001.mp4", "YouTube-real/00170.mp4", "YouTube-real/00171.mp4"]
    names += ["Celeb-synthesis/id1_id0_0007.mp4", "Celeb-synthesis/id0_id1_0001.mp4"]
    listed = b"1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id1_id0_0007.mp4\n1 Celeb-real/id1_0007.mp4\n"
    return {f"{root}List_of_testing_videos.txt": listed, **{root + name: video(name) for name in names}}


def kodf(video: Video = stub, root: str = "KoDF/") -> dict[str, bytes]:
    """Actors with both kinds of name, a fake by each code."""
    actor = "0a1b2c3d4e5f60718293"
    names = [f"original_videos/{actor}/{actor}_001.mp4", "original_videos/103564/103564_002.mp4"]
    names += ["audio-driven/20200820/169273/169273_103564_5_0680.mp4", f"dfl/20200820/{actor}/{actor}_103564_1_0001.mp4"]
    names += [f"{m}/20200821/103564/103564_{actor}_{code}_0002.mp4" for m, code in (("dffs", 2), ("fsgan", 3), ("fo", 4))]
    return {root + name: video(name) for name in names}


def forge(video: Video = stub, root: str = "forged/") -> dict[str, bytes]:
    """What `fauscan forge` writes: a control with a fake voice and a fake face of it, and a silent control."""
    more = {"kind": "real", "identity": "ann", "audio_fake_periods": [], "visual_fake_periods": [], "traces": [], "take": 0}
    voice = {"kind": "audio_swap", "audio_fake_periods": [[0.2, 0.6]], "traces": ["audio"], "donor_identity": "bob"}
    face = {"kind": "both", "audio_fake_periods": [[0.2, 0.6]], "visual_fake_periods": [[0.24, 0.6]], "donor_face_identity": "cleo"}
    rows = [
        lavdf_row("train/000002.mp4", **more),
        lavdf_row("train/000000.mp4", [[0.2, 0.6]], "a", "train/000002.mp4", **more | voice),
        lavdf_row("train/000003.mp4", [[0.2, 0.6], [0.24, 0.6]], "av", "train/000002.mp4", **more | face),
        lavdf_row("test/000001.mp4", **more | {"identity": "dan"}, audio_channels=0, audio_frames=0),
    ]
    files = {f"{root}{row['file']}": video(row["file"]) for row in rows}
    return {f"{root}metadata.json": as_json(rows), f"{root}plan.json": b"{}", f"{root}skipped.csv": b"", **files}


def generic(video: Video = stub, root: str = "own/") -> dict[str, bytes]:
    """A table of somebody's own."""
    table = (
        "uri,dataset,fake,audio_fake,visual_fake,spans,methods,source,identities,split,note\n"
        "a/real.mp4,,false,false,false,,,,ann,train,\n"
        'a/fake.mp4,,true,,true,"[[1.2, 1.84], [3, 4.5]]",lipsync;swap,a/real.mp4,ann;bob,val,hand-made\n'
        "b/unknown.mp4,elsewhere,,,,,,,cleo,,\n"
    )
    names = ("a/real.mp4", "a/fake.mp4", "b/unknown.mp4")
    return {f"{root}truth.csv": table.encode(), **{root + name: video(name) for name in names}}


ALL: dict[str, Callable[..., dict[str, bytes]]] = {
    "fakeavceleb": fakeavceleb,
    "lavdf": lavdf,
    "avdeepfake1m": avdeepfake1m,
    "avdeepfake1mpp": avdeepfake1mpp,
    "dfdc": dfdc,
    "dfdcp": dfdcp,
    "faceforensics": faceforensics,
    "celebdf": celebdf,
    "kodf": kodf,
    "forge": forge,
    "generic": generic,
}
"""A miniature of each dataset, by the name of its adapter."""


def archive_of_all(video: Video = stub) -> dict[str, bytes]:
    """All of them side by side, each in its own folder."""
    return {uri: data for make in ALL.values() for uri, data in make(video).items()}


def read_all(archive: Mapping[str, bytes]) -> dict[str, Reading]:
    """Every dataset of an archive, by its root."""
    everything = detect(list(archive))
    return {f.root: read(f.name, f.root, share(f, everything, archive.keys()), opener(archive)) for f in everything}
