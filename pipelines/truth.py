"""Truth: what the metadata in an archive says of its files, found by layout or as the parameters name it."""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl
from rich.markup import escape

from pipelines import sandbox
from pipelines.archive import Archive
from pipelines.parquet import read_frame
from pipelines.progress import console
from pipelines.runlog import log_errors
from pipelines.workspace import Workspace
from schemas.errors import FauScanError, TruthError
from schemas.reasons import Outcome, Reason
from schemas.tables import INVENTORY, TRUTH_COLUMNS, TRUTH_PROBLEMS
from stages.contract import MediaError, as_frame
from stages.view.names import visible_name

if TYPE_CHECKING:
    from stages.datasets import Found, Options

AUTO, NONE = "auto", "none"
_SMALL_BYTES = 8 << 20
"""Metadata up to this size can't fill the memory; more is read in a process that can be killed."""
_SLOWEST_READ = 1e6
_METADATA_SUFFIXES = frozenset((".json", ".jsonl", ".csv", ".tsv", ".txt", ".md", ".npy", ".npz", ".xml", ".yaml", ".yml"))
_PROBLEM = as_frame(TRUTH_PROBLEMS.empty_table()).schema
_TRUTH = {name: kind for name, kind in as_frame(INVENTORY.empty_table()).schema.items() if name in ("uri", *TRUTH_COLUMNS)}


@dataclass(frozen=True, slots=True)
class TruthFound:
    """What all datasets of an archive say."""

    rows: pl.DataFrame
    """`uri` and the truth columns of INVENTORY, each uri once."""
    expected: pl.DataFrame
    """What the metadata says of the files themselves: `stages.datasets.EXPECTED_COLUMNS` and the dataset."""
    problems: list[dict[str, Any]]
    """Rows of TRUTH_PROBLEMS."""
    metadata: dict[str, str]
    """uri of every file that was read as metadata -> its dataset."""
    datasets: list[str]
    """As people are told: name and folder."""
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(dataset, kind) -> problems that are counted and not listed."""


def find_truth(workspace: Workspace, files: pl.DataFrame) -> TruthFound:
    """Reads the metadata of every dataset in the archive. What is wrong with it is a row of `problems`.

    Args:
        workspace: whose archive; `dataset` of its parameters says where to look.
        files: rows of LISTING.

    Raises:
        TruthError: the parameters name a dataset, and it is not there, or its metadata can't be read.
    """
    wanted = workspace.params.dataset
    empty = TruthFound(pl.DataFrame(schema=_TRUTH), pl.DataFrame(), [], {}, [])
    if wanted.name == NONE:
        return empty
    from stages.datasets import Options, detect, share  # noqa: PLC0415 - most archives have no metadata at all

    forced = None if wanted.name == AUTO else wanted.name
    uris = files["uri"].to_list()
    datasets = detect(uris, forced)
    sizes = dict(files.select("uri", "size_bytes").iter_rows())
    parts, expected = [empty.rows], []
    for found in datasets:
        name = told(found.name, found.root)
        opened, outcome = _read(workspace, found, share(found, datasets, uris), sizes, Options(wanted.metadata))
        empty.metadata.update(dict.fromkeys(opened, found.name))
        if isinstance(outcome, str):
            if forced:
                raise TruthError(f"dataset {name}: {outcome}")
            empty.problems.append({"dataset": found.name, "kind": "metadata", "uri": opened[-1] if opened else found.root, "what": outcome})
            empty.datasets.append(f"{name} can't be read")
            continue
        empty.datasets.append(f"{name}, {outcome.truths.height:,} videos")
        empty.problems.extend({"dataset": found.name, "kind": m.kind, "uri": m.uri, "what": m.what} for m in outcome.mismatches)
        listed = Counter(m.kind for m in outcome.mismatches)
        empty.left_out.update({(found.name, kind): count - listed[kind] for kind, count in outcome.counts.items() if count > listed[kind]})
        parts.append(outcome.truths.rename({n: f"truth_{n}" for n in outcome.truths.columns if n != "uri"}).select(*_TRUTH).cast(_TRUTH))  # type: ignore[arg-type]
        expected.append(outcome.expected.with_columns(dataset=pl.lit(found.name)))
    rows = pl.concat(parts).unique("uri", keep="first", maintain_order=True)
    return TruthFound(
        rows, pl.concat(expected) if expected else empty.expected, empty.problems, empty.metadata, empty.datasets, empty.left_out
    )


def told(name: str, root: str) -> str:
    """A dataset as people are told of it."""
    return visible_name(f"{name} in {root}" if root else name)


def with_truth(rows: pl.DataFrame, found: TruthFound) -> pl.DataFrame:
    """Rows of MEDIA with the truth, as rows of INVENTORY. Metadata is no video that failed, whatever it is."""
    is_metadata = pl.col("uri").is_in(list(found.metadata)) & (pl.col("outcome") != Outcome.PENDING.value)
    suffix = pl.col("uri").map_elements(lambda uri: PurePosixPath(uri).suffix.lower(), pl.String)
    is_empty_text = (pl.col("reason") == Reason.EMPTY_FILE.value) & suffix.is_in(list(_METADATA_SUFFIXES))
    said: dict[str, Any] = {"outcome": Outcome.FILTERED.value, "reason": Reason.NOT_A_VIDEO.value}
    rows = rows.with_columns(
        *(pl.when(is_metadata | is_empty_text).then(pl.lit(value)).otherwise(name).alias(name) for name, value in said.items()),
        pl.when(is_metadata).then(pl.lit("metadata of ") + pl.col("uri").replace_strict(found.metadata or {"": ""}, default=""))
        .otherwise("detail").alias("detail"),
        pl.when(is_metadata).then(None).otherwise("unit").alias("unit"),
    )  # fmt: skip
    return rows.join(found.rows, on="uri", how="left").select(INVENTORY.names)


def problems(found: TruthFound, inventory: pl.DataFrame) -> pl.DataFrame:
    """Rows of TRUTH_PROBLEMS, sorted: of the metadata itself, and where it does not agree with the files or copies contradict it."""
    rows = list(found.problems)
    if found.datasets:
        from stages.datasets import against_files  # noqa: PLC0415
        from stages.truth_labels import by_content  # noqa: PLC0415

        dataset_of = dict(found.rows.select("uri", "truth_dataset").iter_rows())
        copies = inventory.filter(pl.col("content_id").is_duplicated() & pl.col("content_id").is_not_null())
        if found.expected.height:
            for m in against_files(found.expected, inventory.filter(pl.col("outcome") == Outcome.DONE.value)):
                rows.append({"dataset": dataset_of.get(m.uri), "kind": m.kind, "uri": m.uri, "what": m.what})
        rows += [{"dataset": dataset_of[uri], "kind": "copies", "uri": uri, "what": what} for uri, what in by_content(copies)[1]]
    for (dataset, kind), count in found.left_out.items():
        rows.append({"dataset": dataset, "kind": kind, "uri": None, "what": f"and {count:,} more, which are not listed"})
    return pl.DataFrame(rows, _PROBLEM).sort("dataset", "kind", "uri", "what", nulls_last=True)


def read_problems(workspace: Workspace) -> pl.DataFrame:
    """Rows of TRUTH_PROBLEMS; none where an older FauScan wrote the inventory."""
    if not workspace.truth_problems.is_file():
        return pl.DataFrame(schema=_PROBLEM)
    return read_frame(workspace.truth_problems, "fauscan inventory", TRUTH_PROBLEMS)


def print_truth(found: TruthFound, table: pl.DataFrame) -> None:
    """One line: the datasets, and how many problems of each kind; nothing where there is no dataset."""
    if not found.datasets:
        return
    counts = Counter(table.filter(pl.col("uri").is_not_null())["kind"].to_list())
    for (_, kind), count in found.left_out.items():
        counts[kind] += count
    console.print(f"{'truth':<10} {escape('; '.join(found.datasets))}{problem_text(counts)}", highlight=False, soft_wrap=True)


def problem_text(counts: Counter[str]) -> str:
    """`: 3 missing, 1 extra (data/truth_problems.parquet)`, or nothing."""
    if not counts:
        return ""
    return f"; problems: {', '.join(f'{count:,} {kind}' for kind, count in sorted(counts.items()))} (data/truth_problems.parquet)"


def _read(workspace: Workspace, found: Found, uris: Any, sizes: dict[str, int], options: Options) -> tuple[list[str], Any]:
    """Uris that were opened, and the `Reading`, or one line that says why there is none."""
    from stages.inventory import VIDEO_SUFFIXES  # noqa: PLC0415

    runner, task = functools.partial(TruthRunner, workspace.archive().uri), (found.name, found.root, uris, options)
    inside = [uri for uri in uris if uri.startswith(found.root) and PurePosixPath(uri).suffix.lower() not in VIDEO_SUFFIXES]
    size_bytes = sum(sizes[uri] for uri in inside)
    if size_bytes <= _SMALL_BYTES:
        opened, outcome, errors = runner()(task)
    else:
        box, limits = sandbox.borrow(), workspace.params.limits
        try:
            opened, outcome, errors = box.call(pickle.dumps(runner), task, limits.timeout_s + size_bytes / _SLOWEST_READ, limits.memory_mb)
            sandbox.give_back(box)
        except sandbox.DeathError as death:
            opened, outcome, errors = [], f"reading its metadata was given up ({death})", []
    if errors:
        log_errors(workspace, "truth", errors)
    return opened, outcome


class TruthRunner:
    """Reads the metadata of one dataset, here or inside a sandbox."""

    def __init__(self, archive_uri: str) -> None:
        self._archive = Archive(archive_uri)

    def __call__(self, task: tuple[str, str, Any, Options]) -> tuple[list[str], Any, list[str]]:
        """Uris that were opened; the `Reading`, or one line of what is wrong; tracebacks of errors of ours."""
        from stages.datasets import read  # noqa: PLC0415

        name, root, uris, options = task
        opened: list[str] = []

        def open_file(uri: str) -> BinaryIO:
            opened.append(uri)
            return _opened(self._archive, uri)

        try:
            return opened, read(name, root, uris, open_file, options), []
        except (FauScanError, OSError) as error:
            return opened, " ".join(str(error).split()), []
        except Exception as error:  # noqa: BLE001 - truth is a gift: a bug in reading it must not cost a night
            said = f"internal error: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            return opened, said, ["".join(traceback.format_exception(error))]


def _opened(archive: Archive, uri: str) -> BinaryIO:
    """A file of the archive. Raises OSError where it can't be had."""
    copy = contextlib.ExitStack()
    try:
        raw = io.FileIO(copy.enter_context(archive.open_media(uri)))
    except MediaError as error:
        raise OSError(f"{uri}: {error.detail}") from None
    return _Metadata(raw, uri, copy)


class _Metadata(io.BufferedReader):
    """Takes the copy of a remote file away when it is closed."""

    def __init__(self, raw: io.FileIO, uri: str, copy: contextlib.ExitStack) -> None:
        super().__init__(raw)
        self._uri, self._copy = uri, copy

    def close(self) -> None:
        """Raises OSError where somebody wrote to it meanwhile."""
        super().close()
        try:
            self._copy.close()
        except MediaError as error:
            raise OSError(f"{self._uri}: {error.detail}") from None
