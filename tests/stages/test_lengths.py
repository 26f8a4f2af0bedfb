from __future__ import annotations

from pathlib import Path

import pytest

from stages.lengths import missing_bytes
from tests.conftest import FACE_NOFACE, NO_FACE, SINGLE_FACE, WOLFGANG
from tests.damage import KINDS, Kind, write_clip


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.encoder == "libx264"], ids=lambda kind: kind.name)
def test_a_file_knows_what_was_cut_off_its_end(tmp_path: Path, kind: Kind) -> None:
    path = write_clip(tmp_path / f"a.{kind.suffix}", kind)
    assert missing_bytes(path) == 0
    data = path.read_bytes()
    for lost in (1, 100, len(data) // 2 + 1):
        path.write_bytes(data[:-lost])
        # A transport stream knows only that its last packet is not whole; an MP4 can't see over the edge of its media data.
        assert missing_bytes(path) > 0 if kind.suffix != "mp4" else missing_bytes(path) in range(lost + 1)
    assert missing_bytes(path) == (-len(data[:-lost]) % 188 if kind.suffix == "ts" else missing_bytes(path))


def test_real_files_lack_nothing() -> None:
    assert [missing_bytes(clip.path) for clip in (SINGLE_FACE, NO_FACE, FACE_NOFACE, WOLFGANG)] == [0, 0, 0, 0]


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"G" * 400, bytes(300), b"\x00\x00\x00\x00mdat" + bytes(90)])
def test_what_says_nothing_of_its_length_lacks_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert missing_bytes(path) in {0, -len(data) % 188 if data.startswith(b"G") else 0}
