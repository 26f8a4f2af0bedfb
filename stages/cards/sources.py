"""Sources: where the published datasets come from, under which terms, and what to cite. Facts, to be checked before use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset as its authors publish it."""

    title: str
    home: str
    terms: str
    cite: str
    known: str
    """What in it gives the label away, or is easily got wrong."""


_VOX = "footage of VoxCeleb2, whose terms apply too"

SOURCES: dict[str, Source] = {
    "fakeavceleb": Source(
        "FakeAVCeleb v1.2", "https://github.com/DASH-Lab/FakeAVCeleb", f"on request, research only, not to be passed on; {_VOX}",
        "Khalid et al., FakeAVCeleb, NeurIPS Datasets and Benchmarks 2021",
        "codec and length give fakes away; some 40 fakes for each real video; whole clips are called fake, parts are not marked",
    ),
    "lavdf": Source(
        "LAV-DF", "https://github.com/ControlNet/LAV-DF", f"non-commercial (code CC BY-NC 4.0); {_VOX}",
        "Cai et al., Do You Really Mean That?, DICTA 2022", "`duration` is longer than both streams; spans are short, about 0.65 s",
    ),
    "avdeepfake1m": Source(
        "AV-Deepfake1M", "https://github.com/ControlNet/AV-Deepfake1M", f"on request, non-commercial (code CC BY-NC 4.0); {_VOX}",
        "Cai et al., AV-Deepfake1M, ACM Multimedia 2024",
        "6,160 entries carry a segment in a stream that was not altered; test labels are unpublished",
    ),
    "avdeepfake1mpp": Source(
        "AV-Deepfake1M++", "https://github.com/ControlNet/AV-Deepfake1M",
        "on request, non-commercial (code CC BY-NC 4.0); footage of VoxCeleb2 and LRS3",
        "Cai et al., AV-Deepfake1M++, 2025", "some corpora have no sound",
    ),
    "dfdc": Source(
        "DFDC", "https://ai.meta.com/datasets/dfdc/", "own terms of use, to be accepted with the download",
        "Dolhansky et al., The DeepFake Detection Challenge Dataset, 2020",
        "says nothing about sound, which some fakes alter; 5 fakes for each real video",
    ),
    "dfdcp": Source(
        "DFDC Preview", "https://ai.meta.com/datasets/dfdc/", "own terms of use, to be accepted with the download",
        "Dolhansky et al., The DFDC Preview Dataset, 2019", "says nothing about sound",
    ),
    "faceforensics": Source(
        "FaceForensics++", "https://github.com/ondyari/FaceForensics", "on request, own terms of use, research only",
        "Rössler et al., FaceForensics++, ICCV 2019", "no sound; compression levels must not be mixed by label",
    ),
    "celebdf": Source(
        "Celeb-DF v2", "https://github.com/yuezunli/celeb-deepfakeforensics", "on request, own terms of use, research only",
        "Li et al., Celeb-DF, CVPR 2020", "only a test list is published; in it 1 means real",
    ),
    "kodf": Source(
        "KoDF", "https://github.com/deepbrainai-research/kodf", "on request, own terms of use",
        "Kwon et al., KoDF, ICCV 2021", "the fsgan part has no sound; no official split",
    ),
    "forge": Source(
        "Forgeries made by FauScan", "docs/forging.md", "those of the real videos that they were made of",
        "FauScan, and the real videos' own publication", "simple methods, made for training; they are no sample of what is out there",
    ),
}  # fmt: skip
"""By the names of the adapters (stages/datasets)."""


def source_of(dataset: str | None) -> Source | None:
    """Facts of a dataset; None for one that nobody published under that name."""
    return SOURCES.get(dataset or "")
