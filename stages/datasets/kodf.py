"""KoDF: folders and names say what is fake, by which method and of whom; there is no metadata."""

from __future__ import annotations

import re
from collections.abc import Collection

from stages.datasets.contract import OpenFile, Options, Reading, Truth
from stages.datasets.fields import scoped, shown
from stages.datasets.gathering import Gathering

NAME = "kodf"
LAYOUT = "original_videos/<actor>/<actor>_<number>.mp4 and <method>/<date>/<target>/<target>_<source>_<code>_<number>.mp4"
SIGNATURES = (
    r"^((?:.*/)?)original_videos/(?:[0-9a-f]{20}|\d+)/(?:[0-9a-f]{20}|\d+)_\d+\.mp4\z",
    r"^((?:.*/)?)(?:audio-driven|dffs|dfl|fo|fsgan)/\d{8}/[^/]+/[0-9a-f]+_[0-9a-f]+_\d_\d+\.mp4\z",
)

_ACTOR = r"(?:[0-9a-f]{20}|\d+)"
_REAL = re.compile(rf"original_videos/(?P<folder>{_ACTOR})/(?P<actor>{_ACTOR})_\d+\.mp4")
_FAKE = re.compile(
    rf"(?P<method>audio-driven|dffs|dfl|fo|fsgan)/\d{{8}}/(?P<folder>{_ACTOR})/(?P<target>{_ACTOR})_(?P<source>{_ACTOR})_(?P<code>\d)_\d+\.mp4"
)
_METHOD_OF_CODE = {"1": "dfl", "2": "dffs", "3": "fsgan", "4": "fo", "5": "audio-driven"}


def keeps(root: str, uris: Collection[str]) -> bool:  # noqa: ARG001
    return True


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:  # noqa: ARG001
    """Truths of folders and names. See `stages.datasets.read`."""
    gathering = Gathering(NAME, root, uris)
    for uri in gathering.left():
        path = uri.removeprefix(root)
        if real := _REAL.fullmatch(path):
            actor = real["actor"]
            note = _note(gathering, uri, None if real["folder"] == actor else f"lies in the folder of {real['folder']}")
            people = scoped(NAME, [actor, real["folder"]])
            gathering.add(Truth(uri, NAME, fake=False, audio_fake=False, visual_fake=False, identities=people, note=note), uri)
        elif fake := _FAKE.fullmatch(path):
            method, named = fake["method"], _METHOD_OF_CODE.get(fake["code"])
            wrong = None
            if named != method:
                wrong = f"code {fake['code']} of its name is {named or 'not known'}, but its folder is {method}; the folder is believed"
            elif fake["folder"] != fake["target"]:
                wrong = f"lies in the folder of {fake['folder']}"
            people = scoped(NAME, [fake["target"], fake["source"], fake["folder"]])
            note = _note(gathering, uri, wrong)
            gathering.add(Truth(uri, NAME, fake=True, visual_fake=True, methods=(method,), identities=people, note=note), uri)
    return gathering.reading("follows no rule of KoDF; <target>_<source>_<code>_<number>.mp4 in a method's folder would be right")


def _note(gathering: Gathering, uri: str, note: str | None) -> str | None:
    if note:
        gathering.mismatch("contradiction", uri, f"{shown(uri)}: {note}")
    return note
