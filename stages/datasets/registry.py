"""Registry: the datasets that can be read, by name, and how each is known by its layout."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from stages.datasets import avdeepfake1m, celebdf, dfdc, faceforensics, fakeavceleb, forge, generic, kodf, lavdf
from stages.datasets.contract import OpenFile, Options, Reading


@dataclass(frozen=True, slots=True)
class Adapter:
    """One dataset."""

    name: str
    layout: str
    """What a person sees in its folder."""
    signatures: tuple[str, ...]
    """Patterns of uris, in the dialect of Rust; the first group is the root, or what `root_of` makes it from."""
    keeps: Callable[[str, Collection[str]], bool]
    """Whether a root that fits a signature is one, by what else the archive has."""
    read: Callable[[str, Collection[str], OpenFile, Options], Reading]
    root_of: Callable[[str], str] = str


ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        # Where two fit the same folder the first one has it: a person's own word before a guess.
        Adapter(generic.NAME, generic.LAYOUT, generic.SIGNATURES, generic.keeps, generic.read),
        Adapter(forge.NAME, forge.LAYOUT, forge.SIGNATURES, forge.keeps, forge.read),
        Adapter(fakeavceleb.NAME, fakeavceleb.LAYOUT, fakeavceleb.SIGNATURES, fakeavceleb.keeps, fakeavceleb.read),
        Adapter(
            avdeepfake1m.NAME_PLUSPLUS,
            avdeepfake1m.LAYOUT_PLUSPLUS,
            avdeepfake1m.SIGNATURES_PLUSPLUS,
            avdeepfake1m.keeps_plusplus,
            avdeepfake1m.read_plusplus,
        ),
        Adapter(avdeepfake1m.NAME, avdeepfake1m.LAYOUT, avdeepfake1m.SIGNATURES, avdeepfake1m.keeps, avdeepfake1m.read),
        Adapter(lavdf.NAME, lavdf.LAYOUT, lavdf.SIGNATURES, lavdf.keeps, lavdf.read),
        Adapter(faceforensics.NAME, faceforensics.LAYOUT, faceforensics.SIGNATURES, faceforensics.keeps, faceforensics.read),
        Adapter(celebdf.NAME, celebdf.LAYOUT, celebdf.SIGNATURES, celebdf.keeps, celebdf.read),
        Adapter(dfdc.NAME_PREVIEW, dfdc.LAYOUT_PREVIEW, dfdc.SIGNATURES_PREVIEW, dfdc.keeps_preview, dfdc.read_preview),
        Adapter(dfdc.NAME, dfdc.LAYOUT, dfdc.SIGNATURES, dfdc.keeps, dfdc.read, dfdc.root_of),
        Adapter(kodf.NAME, kodf.LAYOUT, kodf.SIGNATURES, kodf.keeps, kodf.read),
    )
}
"""In the order in which they are tried."""
