"""Export: writes a curated set for one other tool."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pipelines.cards import card_input
from pipelines.curated import CuratedSet, open_curated
from pipelines.exports import framed, listed, media, sharded
from pipelines.exports.clips import stream_samples
from pipelines.exports.folder import ExportFolder
from pipelines.exports.formats import Format
from pipelines.exports.media import How
from pipelines.listing import read_inventory
from pipelines.progress import console
from pipelines.workspace import Workspace
from schemas.errors import ParamsError, WorkspaceError
from stages.cards.card import hub_card
from stages.exports.videos import videos_of

_WITH_CROPS = ("webdataset", "huggingface")
_MB = 1_000_000


def export(
    workspace: Workspace, name: str, form: Format, target: Path, how: How = "none", shard_mb: float = 256.0, fresh: bool = False
) -> ExportFolder:
    """Writes the set `name` to the folder `target`.

    Args:
        workspace: where the set and the store are.
        name: of the set.
        form: one of `formats.Format`.
        target: new or empty, or of the same export: then it is gone on with, which is nothing where all is there.
        how: what becomes of the videos (LAV-DF, AV-Deepfake1M, FauForensics, FiftyOne) or frames (COCO).
        shard_mb: size at which a shard of `webdataset` and `huggingface` is closed.
        fresh: empty a folder that holds another export.

    Raises:
        WorkspaceError: no such set, or the folder holds something else.
        ParamsError: an option that the format does not have.
    """
    if form not in get_args(Format):
        raise ParamsError(f"--format is {form!r}; use one of {', '.join(get_args(Format))}")
    if how != "none" and form in _WITH_CROPS:
        raise ParamsError(f"--media {how}: {form} holds the face crops themselves; leave it out")
    if how == "link" and form == "coco":
        raise ParamsError("--media link: coco wants frames, which nothing can link to; use copy, which writes them as JPEG, or none")
    curated = open_curated(workspace, name)
    if curated.selection.is_empty():
        raise WorkspaceError(f"{curated.folder}: the set has no clips; there is nothing to export")
    archive = workspace.archive()
    media.check(how, archive)
    _check_place(workspace, target)
    facts = {"set": curated.name, "digest": curated.digest, "format": form, "media": how}
    if form in _WITH_CROPS:
        facts["shard_mb"] = f"{shard_mb:g}"
    with ExportFolder(target, facts, fresh) as out:
        if not out.is_done:
            _write(workspace, curated, form, out, how, int(shard_mb * _MB))
    _tell(out)
    return out


def _write(workspace: Workspace, curated: CuratedSet, form: Format, out: ExportFolder, how: How, shard_bytes: int) -> None:
    selection = curated.selection
    if form in _WITH_CROPS:
        write = sharded.write_tar_shards if form == "webdataset" else sharded.write_parquet_shards
        write(stream_samples(workspace, selection, out), out, shard_bytes)
        if form == "huggingface":
            there = sorted({path.name.split("-")[0] for path in (out.root / "data").glob("*.parquet")})
            text = hub_card(card_input(workspace, curated), {split: f"data/{split}-*.parquet" for split in there})
            out.write("README.md", text.encode())
        return
    videos = videos_of(selection, read_inventory(workspace.inventory))
    if form == "lavdf":
        listed.write_lavdf(out, workspace.archive(), videos, how)
    elif form == "avdeepfake1m":
        listed.write_avdeepfake1m(out, workspace.archive(), videos, how)
    elif form == "fauforensics":
        clips = selection.sort("uri", "start_tick", "clip_id", nulls_last=True)
        listed.write_fauforensics(out, workspace.archive(), videos, clips.iter_rows(named=True), how, curated.name)
    elif form == "coco":
        framed.write_coco(out, workspace, selection, videos, how, curated.name)
    else:
        framed.write_fiftyone(out, workspace, selection, videos, how, curated.name)


def _check_place(workspace: Workspace, target: Path) -> None:
    """Nothing is ever written into an archive, and an export's folder may be emptied: it must not be one that matters."""
    where = target.expanduser().resolve()
    uri = workspace.archive().uri
    if "://" not in uri and where.is_relative_to(Path(uri).resolve()):
        raise ParamsError(f"{target}: lies in the archive {uri}, where nothing is written; give a folder outside of it")
    if workspace.root.resolve().is_relative_to(where) or where.is_relative_to(workspace.data.resolve()):
        raise ParamsError(f"{target}: is the workspace or its data; give a folder of its own")


def _tell(out: ExportFolder) -> None:
    counts = dict(sorted(out.counts.items()))
    told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count and name != "missing")
    console.print(f"{out.root}: {'nothing new; ' if out.is_done else ''}{told or 'nothing'}", highlight=False, markup=False)
    if counts.get("missing"):
        console.print(f"{counts['missing']:,} missing; {out.root / 'missing.csv'} says what and why", highlight=False, markup=False)
