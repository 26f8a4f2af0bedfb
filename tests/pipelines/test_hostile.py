"""An archive of files that mean harm: each is accounted for within its limits, the good ones are labelled, the terminal stays clean."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipelines.archive import Archive
from pipelines.forge_sources import read_identities
from schemas.errors import ArchiveError
from tests import hostile
from tests.conftest import SINGLE_FACE
from tests.pipelines.clips import short_clip
from tests.pipelines.test_cli import fauscan, refused

pytestmark = pytest.mark.slow

NAMES = (
    "new\nline.mkv", "bell\a and \x1b[31mred\x1b]0;title\a.mkv", "\u202egpj.mkv", "line\u2028end.mkv", "-rf.mkv", "   ", "'quo\"te`.mkv",
    "<script>alert(1)<", "[bold]x[", "$(touch x);.mkv", "%s%n.mkv", "concat:a|b.mkv", "http:x.mkv", "two..dots.mkv", "caf\ufffde9.mkv",
    "a" * 251 + ".mkv",
)  # fmt: skip
"""All of them hold a good video."""

_jpeg = hostile.jpeg()
_huge = hostile.HUGE
MEDIA: dict[str, tuple[Callable[[Path], bytes], str]] = {
    # Pictures and packed files that call themselves videos.
    "png.mp4": (lambda _: hostile.png(_huge, _huge), "open_failed"),
    "jpeg.mp4": (lambda _: hostile.jpeg(claims=(65_000, 65_000)), "open_failed"),
    "gif.mov": (lambda _: hostile.gif(65_535, 65_535), "open_failed"),
    "gz.mp4": (lambda _: gzip.compress(bytes(10**8)), "open_failed"),
    "zip.mp4": (lambda _: zipped(), "open_failed"),
    # Pictures of gigabytes inside of videos.
    "png.mkv": (lambda _: hostile.matroska([hostile.png_track()], [hostile.cluster(0, *[hostile.png(_huge, _huge)] * 3)]), "no_frames"),
    "huge.mkv": (lambda _: hostile.motion_jpeg(*[hostile.jpeg(claims=(_huge, _huge))] * 30), "no_frames"),
    "turns_huge.mkv": (lambda _: hostile.motion_jpeg(*[_jpeg] * 10, *[hostile.jpeg(claims=(_huge, _huge))] * 30), "bad_packets"),
    "says_huge.mkv": (lambda _: hostile.motion_jpeg(*[_jpeg] * 7, width=_huge, height=_huge), "no_face"),
    "huge.h264": (lambda _: hostile.bent_h264(hostile.h264(), _huge, _huge), "too_large"),
    "turns_huge.h264": (lambda _: hostile.h264() + hostile.bent_h264(hostile.h264(), _huge, _huge) * 9, "no_frames"),
    # Streams without number, boxes without end.
    "tracks.mkv": (lambda _: hostile.matroska(map(hostile.track, range(1, 100_000)), [hostile.cluster(0, *[_jpeg] * 8)]), "no_face"),
    "traks.mp4": (lambda _: hostile.many_traks(1_000_000), "open_failed"),
    "streams.ogv": (lambda _: b"".join(hostile.many_ogg_streams(100_000)), "open_failed"),
    "programs.ts": (lambda _: b"".join(hostile.many_programs(20_000)), "open_failed"),
    "streams.avi": (lambda _: hostile.many_avi_streams(100_000), "open_failed"),
    "nested.mp4": (lambda _: hostile.nested_boxes(1_000_000), "open_failed"),
    "nested.mkv": (lambda _: hostile.nested_tags(100_000), "no_face"),
    # Times beyond the end of time.
    "late.mkv": (lambda _: hostile.motion_jpeg(*[_jpeg] * 9, time=2**63 - 10_000), "no_face"),
    "later.mkv": (lambda _: hostile.motion_jpeg(*[_jpeg] * 9, time=2**44, scale_ns=10**9, step=1), "no_frames"),
    "latest.mkv": (lambda _: hostile.motion_jpeg(*[_jpeg] * 9, time=2**62, scale_ns=10**9, step=1), "no_frames"),
    "early.mkv": (lambda _: hostile.matroska([hostile.track(1)], [hostile.cluster(0, *[_jpeg] * 9, first=-30_000)]), "no_frames"),
    "century.mkv": (lambda _: hostile.matroska([hostile.track(1)], [hostile.cluster(t, _jpeg) for t in (0, 3 * 10**12)]), "too_large"),
    "instant.mkv": (lambda _: hostile.motion_jpeg(*[_jpeg] * 9, step=0), "non_monotone_pts"),
    "one.mkv": (lambda _: hostile.motion_jpeg(_jpeg), "no_face"),
    # A billion samples in a kilobyte.
    "samples.mp4": (lambda at: hostile.with_box(hostile.mp4(at), b"stsz", 8, struct.pack(">I", 10**9)), "open_failed"),
    "bytes.mp4": (lambda at: hostile.with_box(hostile.mp4(at), b"stsz", 4, struct.pack(">II", 1, 10**9)), "no_frames"),
    "chunk.mp4": (lambda at: hostile.with_box(hostile.mp4(at), b"stsc", 12, struct.pack(">I", 10**9)), "no_face"),
    "empty.mp4": (lambda _: b"", "empty_file"),
}


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("video.mp4", bytes(10**8))
    return data.getvalue()


def make_archive(root: Path) -> Path:
    """Good videos under bad names, bad ones under good names, and things that are no files."""
    archive, outside = root / "archive", root / "outside"
    archive.mkdir()
    outside.mkdir()
    short_clip(SINGLE_FACE, 27, archive / "good.mp4", sound=True)
    for i, name in enumerate(NAMES):
        (archive / name).write_bytes(hostile.motion_jpeg(*[hostile.jpeg(grey=i)] * 3))
    with open(os.fsencode(archive) + b"/caf\xe9.mkv", "wb") as file:  # noqa: PTH123 - the name is not text
        file.write(hostile.motion_jpeg(_jpeg, _jpeg))
    for name, (make, _) in MEDIA.items():
        (archive / name).write_bytes(make(root / "scratch.mp4"))
    (archive / "folder.mp4").mkdir()
    (archive / "folder.mp4" / "inside.mkv").write_bytes(hostile.motion_jpeg(*[hostile.jpeg(grey=77)] * 3))
    (outside / "linked.mkv").write_bytes(hostile.motion_jpeg(*[hostile.jpeg(grey=78)] * 3))
    (outside / "secret.mkv").write_bytes(hostile.motion_jpeg(*[hostile.jpeg(grey=79)] * 3))
    (archive / "link.mkv").symlink_to(outside / "linked.mkv")
    (archive / "folder link").symlink_to(outside)
    (archive / "folder.mp4" / "loop").symlink_to(archive)
    (archive / "loop.mp4").symlink_to("loop.mp4")
    (archive / "nowhere.mp4").symlink_to("nothing")
    (archive / "zero.mp4").symlink_to("/dev/zero")
    os.mkfifo(archive / "fifo.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(archive)  # the path of a socket has a hundred bytes at most
        try:
            server.bind("socket.mp4")
        finally:
            os.chdir(here)
    return archive


def clean(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


def test_every_file_has_an_end_and_a_reason_and_nothing_reaches_the_terminal(tmp_path: Path) -> None:
    archive, ws, params = make_archive(tmp_path), tmp_path / "ws", tmp_path / "params.yaml"
    params.write_text("limits: {memory_mb: 1500}\nengine: {workers: 1}", encoding="utf-8")
    done = fauscan("run", archive, "-w", ws, "--engine", "local", "--params", params)
    assert done.returncode == 0, done.stderr
    assert clean(done.stdout + done.stderr)

    inventory = pl.read_parquet(ws / "data" / "inventory.parquet")
    found = {row["uri"]: row for row in inventory.to_dicts()}
    links = ("loop.mp4", "nowhere.mp4", "zero.mp4", "fifo.mp4", "socket.mp4", "caf\ufffde9.mkv\ufffd")
    assert found.keys() == {*NAMES, *MEDIA, *links, "good.mp4", "folder.mp4/inside.mkv", "link.mkv"}
    assert {name: found[name]["reason"] for name in links} == dict.fromkeys(links, "read_failed")
    assert {name: found[name]["outcome"] for name in (*NAMES, "link.mkv", "folder.mp4/inside.mkv")} == dict.fromkeys(
        (*NAMES, "link.mkv", "folder.mp4/inside.mkv"), "done"
    )
    failures = pl.read_parquet(ws / "data" / "failures.parquet")
    reasons = {uri: set(rows["reason"]) for (uri,), rows in failures.group_by("uri")}
    assert {name: reasons.get(name, {""}) for name, (_, reason) in MEDIA.items() if reason not in reasons.get(name, {""})} == {}
    # No limit had to end anything, and no error was ours.
    assert set(failures["reason"]) & {"timeout", "out_of_memory", "decoder_crashed", "internal_error"} == set()
    assert not failures["detail"].str.contains(str(tmp_path), literal=True).any()
    assert not inventory["detail"].drop_nulls().str.contains("scratch|archive").any()

    labels = pl.read_parquet(ws / "data" / "labels").join(inventory.select("content_id", "uri"), on="content_id")
    assert labels.filter(uri="good.mp4")["label"].is_not_null().sum() == 27
    assert labels.filter(pl.col("uri").is_in(NAMES)).height == 3 * len(NAMES)

    page = (ws / "reports" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert not {"\x1b", "\a", "\u202e", "\u2028"} & set(page)
    for command in (("failures", "list", "--all"), ("verify",), *(("show", name) for name in NAMES[:3]), ("show", "nothing\x1b[2J")):
        said = fauscan(*command[:2], "-w", ws, *command[2:])
        assert clean(said.stdout + said.stderr), command
        assert "Traceback" not in said.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_what_may_not_be_read_is_listed(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    short_clip(SINGLE_FACE, 5, tmp_path / "archive" / "good.mp4", sound=False)
    short_clip(SINGLE_FACE, 6, tmp_path / "archive" / "locked.mp4", sound=False)
    (tmp_path / "archive" / "locked.mp4").chmod(0)
    assert fauscan("run", tmp_path / "archive", "-w", tmp_path / "ws", "--engine", "local").returncode == 0
    rows = pl.read_parquet(tmp_path / "ws" / "data" / "inventory.parquet").filter(uri="locked.mp4")
    assert rows["reason"].to_list() == ["read_failed"]


def test_truth_that_leads_out_of_its_folder_is_refused_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text('[{"file": "a.mp4"}, {"file": "../../etc/passwd"}]', encoding="utf-8")
    for command in ("evaluate", "train"):
        refused(fauscan(command, "--data", tmp_path), "metadata.json: row 1: file: '../../etc/passwd' leads out of the folder")


@pytest.mark.parametrize("uri", ["../**/*.mp4", "/home/**"])
def test_identities_that_lead_out_of_the_archive_are_refused_with_their_line(tmp_path: Path, uri: str) -> None:
    (tmp_path / "identities.csv").write_text(f"uri,identity\na.mp4,anna\n{uri},bob\n", encoding="utf-8")
    with pytest.raises(ArchiveError, match=r"identities.csv: line 3: .* leads out of the archive"):
        read_identities(Archive(str(tmp_path)))
