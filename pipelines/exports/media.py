"""Media: the videos of an export, linked to, copied, or left where they are."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.archive import Archive
from pipelines.exports.folder import ExportFolder
from schemas.errors import ParamsError
from stages.contract import MediaError

How = Literal["none", "link", "copy"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A video of the set under the name that it has in the export."""

    video: dict[str, Any]
    file: str


def check(how: How, archive: Archive) -> None:
    """Raises ParamsError where an archive can't be linked to."""
    if how == "link" and "://" in archive.uri:
        raise ParamsError(f"--media link: the archive is {archive.uri}, and links lead to files only; use copy or none")


def place(
    out: ExportFolder, archive: Archive, videos: Sequence[dict[str, Any]], names: Sequence[str], how: How, below: str = ""
) -> list[Placed]:
    """Puts the videos into the export, one after the other.

    Args:
        out: where to; a video that can't be had is missing there.
        archive: where from.
        videos: of `stages.exports.videos.videos_of`.
        names: what each is called, below `below`. With `none` a video keeps its path in the archive, and nothing is opened.
        how: `link` makes a symbolic link to the archive's file.
        below: folder of the export.

    Returns:
        The videos that are there.
    """
    found = []
    for video, name in zip(videos, names, strict=True):
        if not video["present"]:
            out.miss(None, video["uri"], "no longer in the archive")
            continue
        if how == "none":
            found.append(Placed(video, video["uri"]))
            continue
        try:
            with archive.open_media(video["uri"]) as path:
                target = out.path(below + name)
                if how == "link":
                    target.symlink_to(Path(path).resolve())
                else:
                    shutil.copyfile(path, target)
        except MediaError as error:
            out.miss(None, video["uri"], str(error))
            continue
        out.counts["videos"] += 1
        found.append(Placed(video, name))
    return found
