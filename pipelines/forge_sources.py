"""Forge sources: what of an archive can be forged: files probed, faces found, people told apart, splits drawn."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.archive import Archive
from schemas.errors import ArchiveError
from schemas.recipe import ForgeRecipe
from schemas.truth import Split, leads_out
from stages.contract import MediaError
from stages.forge.audio_kinds import Span
from stages.forge.footage import Timing
from stages.forge.looks import group_looks

IDENTITIES_NAME = "identities.csv"
MIN_HEARD = 0.08
"""Share of the time in which something must be heard for a sound to be worth forging."""
MIN_TALK_S = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """One usable video. `face_runs` in seconds of its timeline; sound that is silent throughout counts as not audible."""

    uri: str
    content_id: str
    timing: Timing
    has_audio: bool
    audio_rate_hz: int
    sound: Span
    face_runs: tuple[Span, ...]
    face_px: float
    width: int
    height: int
    heard_share: float
    identity: str = ""
    split: Split = "train"

    @property
    def talking_runs(self) -> tuple[Span, ...]:
        """Stretches with a face and a sound track: where a recording has no sound yet, or none any more, only a forgery could."""
        both = ((max(a, self.sound[0]), min(b, self.sound[1])) for a, b in self.face_runs)
        return tuple((a, b) for a, b in both if b - a >= MIN_TALK_S)

    @property
    def is_audible(self) -> bool:
        return self.has_audio and self.heard_share >= MIN_HEARD and bool(self.talking_runs)

    @property
    def duration_s(self) -> float:
        return self.timing.duration_us / 1e6


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source, or one file of the output, that was not made or made only in part, and why."""

    uri: str
    reason: str
    detail: str
    consequence: str = "not used"


def matches(uri: str, globs: tuple[str, ...]) -> bool:
    """Whether a path matches one of some globs; `**` stands for any number of folders, `*` stays inside one."""
    return any(_pattern(glob).fullmatch(uri) for glob in globs)


def _pattern(glob: str) -> re.Pattern[str]:
    parts = []
    for token in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", glob):
        parts.append({"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token) or re.escape(token))
    return re.compile("".join(parts))


def read_identities(archive: Archive) -> dict[str, str] | None:
    """`identities.csv` of the archive as {path or glob: identity}; None when there is no such file.

    Raises:
        ArchiveError: it lacks a column, a cell is empty, or a path leads out of the archive.
    """
    try:
        with archive.open_media(IDENTITIES_NAME) as path:
            text = path.read_text(encoding="utf-8-sig")
    except MediaError:
        return None
    except UnicodeDecodeError:
        raise ArchiveError(f"{IDENTITIES_NAME}: is not UTF-8 text") from None
    rows = list(csv.DictReader(io.StringIO(text)))
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        uri, identity = row.get("uri"), row.get("identity")
        if not uri or not identity:
            raise ArchiveError(f"{IDENTITIES_NAME}: line {number} needs a value under each of uri, identity")
        if leads_out(uri.strip()):
            raise ArchiveError(f"{IDENTITIES_NAME}: line {number}: {uri!r} leads out of the archive; give a path or pattern below it")
        found[uri.strip()] = identity.strip()
    return found


def with_identities(sources: list[Source], looks: NDArray[np.float32], given: dict[str, str] | None, recipe: ForgeRecipe) -> list[Source]:
    """The sources with their `identity`: from the recipe, from identities.csv, or else as the recipe says.

    Args:
        sources: sorted by uri.
        looks: (N, D) of them.
        given: what `read_identities` found.
        recipe: `identities`, `identity` and `same_look`.
    """
    known = [_lookup(s.uri, recipe.identities) or _lookup(s.uri, given or {}) for s in sources]
    match recipe.identity:
        case "face":
            groups = group_looks(looks, recipe.same_look)
            names = {group: f"p{number:03d}" for number, group in enumerate(sorted(set(groups)))}
            others = [names[group] for group in groups]
        case "folder":
            others = [s.uri.rpartition("/")[0] or "." for s in sources]
        case _:
            others = [s.uri for s in sources]
    return [replace(s, identity=k or o) for s, k, o in zip(sources, known, others, strict=True)]


def _lookup(uri: str, mapping: dict[str, str]) -> str | None:
    if uri in mapping:
        return mapping[uri]
    return next((identity for glob, identity in mapping.items() if matches(uri, (glob,))), None)


def with_splits(sources: list[Source], recipe: ForgeRecipe, rng: np.random.Generator) -> list[Source]:
    """The sources with their `split`, drawn by identity; the identity with the most sources is always in train."""
    counts = Counter(s.identity for s in sources)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    rest = [names[i + 1] for i in rng.permutation(len(names) - 1)] if len(names) > 1 else []
    _, dev_share, test_share = recipe.shares
    num_test = _share(len(names), test_share, len(names) >= 2)
    num_dev = _share(len(names), dev_share, len(names) >= 3)
    split: dict[str, Split] = dict.fromkeys(names, "train")
    split |= dict.fromkeys(rest[:num_test], "test")
    split |= dict.fromkeys(rest[num_test : num_test + num_dev], "dev")
    return [replace(s, split=split[s.identity]) for s in sources]


def _share(total: int, share: float, enough: bool) -> int:
    if share <= 0 or not enough:
        return 0
    return max(1, math.floor(total * share + 0.5))
