from __future__ import annotations

import os
import uuid
from pathlib import Path

import fsspec
import pytest

from pipelines.archive import Archive, absolute_uri
from schemas.errors import ArchiveError
from stages.contract import MediaError


def uris(archive: Archive, leave_out: Path | None = None) -> list[str]:
    return archive.listing(leave_out)["uri"].to_pylist()


def test_lists_every_file_by_its_path_below_the_root(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/c.mp4", "a/d e\n.mp4", ".hidden.mp4", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * len(name))
    listing = Archive(str(tmp_path)).listing()
    assert listing["uri"].to_pylist() == [".hidden.mp4", "a/c.mp4", "a/d e\n.mp4", "b.mp4", "notes.txt"]
    assert listing["size_bytes"].to_pylist()[3] == 5


def test_a_workspace_inside_the_archive_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.parquet").write_bytes(b"1")
    (tmp_path / "a.mp4").write_bytes(b"1")
    assert uris(Archive(str(tmp_path)), tmp_path / "out") == ["a.mp4"]


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_store_inside_the_archive_is_not_listed(tmp_path: Path, kind: str) -> None:
    root = str(tmp_path) if kind == "local" else f"memory://{uuid.uuid4().hex}"
    for name in ("a.mp4", "store/faces/x.parquet", "stored.mp4"):
        with fsspec.open(f"{root}/{name}", "wb", auto_mkdir=True) if kind == "local" else fsspec.open(f"{root}/{name}", "wb") as file:
            file.write(b"1")
    assert uris(Archive(root, f"{root}/store")) == ["a.mp4", "stored.mp4"]
    with pytest.raises(ArchiveError, match=r"is the store itself; give store\.uri a folder of its own"):
        Archive(root, root).listing()


def test_links_that_loop_or_lead_nowhere_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"1")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nothing")
    archive = Archive(str(tmp_path))
    assert uris(archive) == ["a.mp4", "gone.mp4"]
    with pytest.raises(MediaError, match="No such file"), archive.open_media("gone.mp4"):
        pass


def test_a_name_that_is_not_utf8_is_listed_and_fails_with_a_reason(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/bad\xff.mp4", "wb") as file:  # noqa: PTH123
        file.write(b"1")
    archive = Archive(str(tmp_path))
    assert uris(archive) == ["bad\N{REPLACEMENT CHARACTER}ff.mp4"]
    with pytest.raises(MediaError, match="No such file"), archive.open_media(uris(archive)[0]):
        pass


def test_names_cannot_climb_out(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="must not contain"), Archive(str(tmp_path)).open_media("../secret"):
        pass


def test_any_fsspec_url_is_an_archive() -> None:
    root = f"memory://{uuid.uuid4().hex}"
    with fsspec.open(f"{root}/a/b.mp4", "wb") as file:
        file.write(b"12345")
    archive = Archive(root)
    assert uris(archive) == ["a/b.mp4"]
    with archive.open_media("a/b.mp4") as path:
        assert path.read_bytes() == b"12345"
        assert path.suffix == ".mp4"
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "nothing", "no such folder"),
        (lambda p: p, "holds no files"),
        (lambda p: p / "file", "is a file; give the folder"),
    ],
)
def test_a_wrong_archive_says_what_would_be_right(tmp_path: Path, make: object, message: str) -> None:
    root = make(tmp_path)  # type: ignore[operator]
    if root.name == "file":
        root.write_bytes(b"1")
    with pytest.raises(ArchiveError, match=message):
        Archive(str(root)).listing()


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(ArchiveError, match="nosuch"):
        Archive("nosuch://bucket/folder")


def test_a_pipe_is_listed_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    archive = Archive(str(tmp_path))
    assert uris(archive) == ["pipe.mp4"]
    with pytest.raises(MediaError, match="not a regular file"), archive.open_media("pipe.mp4"):
        pass


def test_the_workspace_itself_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"1")
    with pytest.raises(ArchiveError, match="is the workspace itself"):
        Archive(str(tmp_path)).listing(tmp_path)


def test_one_folder_has_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace asks whether it was made for the archive that is named now."""
    monkeypatch.chdir(tmp_path)
    for said in ("videos", "./videos/", "other/../videos", str(tmp_path / "videos")):
        assert absolute_uri(said) == str(tmp_path / "videos")
    assert absolute_uri("../videos", tmp_path / "ws") == str(tmp_path / "videos")
    assert absolute_uri("s3://bucket/a/../b") == "s3://bucket/a/../b"
