"""FaceForensics++ and the DFD videos beside it: folders say what is fake, names from what, three lists which split."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from schemas.truth import Split
from stages.datasets.contract import OpenFile, Options, Reading, Truth
from stages.datasets.fields import SPLITS, scoped, shown
from stages.datasets.gathering import Gathering
from stages.datasets.json_entries import list_entries

NAME = "faceforensics"
LAYOUT = "original_sequences/<youtube|actors>/<raw|c0|c23|c40>/videos/ and manipulated_sequences/<method>/<same>/videos/"
SIGNATURES = (r"^((?:.*/)?)(?:manipulated_sequences|original_sequences)/[^/]+/(?:raw|c0|c23|c40)/videos/[^/]+\.mp4\z",)

_METHODS = frozenset({"Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "DeepFakeDetection"})
_PATH = re.compile(
    r"(?:original_sequences/(?P<origin>youtube|actors)|manipulated_sequences/(?P<method>[^/]+))/(?P<rate>raw|c0|c23|c40)/videos/(?P<stem>[^/]+)\.mp4"
)
_SEQUENCE, _PAIR = re.compile(r"\d{3}"), re.compile(r"(?P<target>\d{3})_(?P<source>\d{3})")
_SCENE = re.compile(r"(?P<actor>\d+)__(?P<scene>.+)")
_DFD = re.compile(r"(?P<target>\d+)_(?P<source>\d+)__(?P<scene>.+)__[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a path says."""

    method: str | None
    people: tuple[str, ...]
    source: str | None
    sequences: tuple[str, ...]
    """Numbers that the lists of splits know; the actors' videos have none."""


def keeps(root: str, uris: Collection[str]) -> bool:  # noqa: ARG001
    return True


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:  # noqa: ARG001
    """Truths of folders and names. See `stages.datasets.read`."""
    gathering = Gathering(NAME, root, uris)
    gathering.ignore(lambda path: "/masks/" in path)
    splits = _splits(gathering, open_file)
    for uri in gathering.left():
        parts = _parts(uri.removeprefix(root))
        if parts is None:
            continue
        known = {splits.get(sequence) for sequence in parts.sequences}
        note = None
        if len(known) > 1:
            note = f"its sequences {' and '.join(parts.sequences)} are not of one split"
            gathering.mismatch("contradiction", uri, f"{shown(uri)}: {note}")
        truth = Truth(
            uri=uri,
            dataset=NAME,
            fake=parts.method is not None,
            visual_fake=parts.method is not None,
            methods=(parts.method,) if parts.method else (),
            source=root + parts.source if parts.source else None,
            identities=scoped(NAME, parts.people),
            split=known.pop() if len(known) == 1 else None,
            note=note,
        )
        gathering.add(truth, uri)
    return gathering.reading("follows no rule of FaceForensics++; <target>_<source>.mp4 in the folder of a method would be right")


def _parts(path: str) -> _Parts | None:
    """What the path says; None where it follows no rule."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    stem, rate, method = found["stem"], found["rate"], found["method"]
    if method is None:
        return _original(found["origin"], stem)
    return _fake(method, rate, stem) if method in _METHODS else None


def _original(origin: str, stem: str) -> _Parts | None:
    if origin == "youtube":
        return _Parts(None, (stem,), None, (stem,)) if _SEQUENCE.fullmatch(stem) else None
    scene = _SCENE.fullmatch(stem)
    return _Parts(None, (f"actor {scene['actor']}",), None, ()) if scene else None


def _fake(method: str, rate: str, stem: str) -> _Parts | None:
    """The target keeps its body and background: that is the video the fake was made from."""
    if method == "DeepFakeDetection":
        swap = _DFD.fullmatch(stem)
        if swap is None:
            return None
        source = f"original_sequences/actors/{rate}/videos/{swap['target']}__{swap['scene']}.mp4"
        return _Parts(method, (f"actor {swap['target']}", f"actor {swap['source']}"), source, ())
    pair = _PAIR.fullmatch(stem)
    if pair is None:
        return None
    both = (pair["target"], pair["source"])
    return _Parts(method, both, f"original_sequences/youtube/{rate}/videos/{pair['target']}.mp4", both)


def _splits(gathering: Gathering, open_file: OpenFile) -> dict[str, Split]:
    """Split of each sequence. The lists name pairs once; a pair in either order, and both its sequences, belong to the split."""
    found: dict[str, Split] = {}
    for name in ("train", "val", "test"):
        uri = f"{gathering.root}splits/{name}.json"
        if uri not in gathering.files:
            gathering.mismatch("missing", uri, f"{uri} is not there; its sequences have no split")
            continue
        for place, pair in list_entries(open_file, uri):
            if not isinstance(pair, list) or not pair or not all(isinstance(s, str) and _SEQUENCE.fullmatch(s) for s in pair):
                gathering.mismatch("row", uri, f'{uri}: {place}: is {shown(pair)}; a pair of numbers like ["953", "974"] would be right')
                continue
            for sequence in pair:
                if found.setdefault(sequence, SPLITS[name]) != SPLITS[name]:
                    what = f"{sequence} is in the list of {found[sequence]} too; that one holds"
                    gathering.mismatch("contradiction", uri, f"{uri}: {place}: {what}")
    return found
