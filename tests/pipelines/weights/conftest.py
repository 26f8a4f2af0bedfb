"""A hub on loopback, a folder of weights, and a small registry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from pipelines.weights import registry
from tests.pipelines.weights.hub import COMMIT, Hub, served

BYTES = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that HF_ENDPOINT names; nothing else can be reached by accident: no other address is known."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)  # between its own tries
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)  # it writes whole chunks, of 10 MB
    with served(Hub(files={"maker/eyes/eyes.bin": BYTES, "maker/ears/ears.bin": BYTES[:1000], "plain/mouth.pt": BYTES[:2000]})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where weights go."""
    monkeypatch.setenv("FAUSCAN_MODELS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a registry in the place of the shipped one: `eyes` is known to the byte; `ears` is not, and not for commercial use."""

    def put(**more: dict[str, object]) -> None:
        common = {"purpose": "tests", "licence": "its own", "page": "https://example.org/eyes"}
        pinned = {"repository": "maker/eyes", "file": "eyes.bin", "revision": COMMIT}
        eyes = {**common, "source": pinned, "commercial": "yes", "size_bytes": len(BYTES), "sha256": SHA256, "digest_from": "this test"}
        loose = {"repository": "maker/ears", "file": "ears.bin", "revision": None}
        ears = {**common, "source": loose, "commercial": "no", "about_bytes": 1000}
        nose = {**common, "source": {"by_hand": "nose.pth"}, "commercial": "yes"}
        path = tmp_path / "registry.yaml"
        path.write_text(yaml.safe_dump({"weights": {"eyes": eyes, "ears": ears, "nose": nose} | more}, sort_keys=False))
        registry.read_file.cache_clear()
        monkeypatch.setenv(registry.ENVIRONMENT, str(path))

    put()
    return put
