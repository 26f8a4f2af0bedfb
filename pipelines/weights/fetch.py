"""Fetch: downloads weights into the folder, goes on where an earlier try stopped, and lets nothing in that is not what was asked for."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.file_download import HfFileMetadata, http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from pipelines.progress import console
from pipelines.weights.folder import models_folder, path_of
from pipelines.weights.records import Pin, note, read_notes, sha256_of, wanted
from pipelines.weights.registry import Weight, megabytes
from schemas.errors import BusyError, TransferError, WeightsError

_PARTS = ".parts"
_SHA256_DIGITS = 64
_RESERVE_BYTES = 16 * 2**20  # left free, so that the notes can still be written


def fetch(weights: Sequence[Weight], lock: dict[str, Pin], accept_licence: bool) -> None:
    """Brings files into the folder that are not there yet, or are not what they should be. Licences are looked at before anything is begun.

    Args:
        weights: what is wanted.
        lock: pins of the workspace.
        accept_licence: the person has read licences that forbid commercial use, and keeps to them.

    Raises:
        WeightsError: a licence is not accepted, a file has to be got by hand, other bytes came, the disk is full, HF_HUB_OFFLINE is set.
        TransferError: the network; what has come so far is kept, and the next try goes on from there.
        BusyError: another process fetches into this folder.
    """
    refused = [weight for weight in weights if weight.commercial == "no" and not accept_licence]
    if refused:
        first = refused[0]
        names = ", ".join(weight.name for weight in refused)
        raise WeightsError(f"{names}: not for commercial use ({first.licence}; {first.page}); --accept-licence says that you keep to that")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its tries are its own affair; how it ends is said here
    with _held(models_folder()):
        for weight in weights:
            _fetch_one(weight, wanted(weight, lock))


def _fetch_one(weight: Weight, pin: Pin | None) -> None:
    path = path_of(weight)
    if path.is_file():
        known = pin or read_notes().get(weight.name)
        sha256 = sha256_of(path)
        if known is None or sha256 == known.sha256:
            console.print(f"{weight.name}: there already, {megabytes(path.stat().st_size)}", highlight=False)
            return
        console.print(f"{weight.name}: is {sha256[:12]}, should be {known.sha256[:12]}; fetched again", highlight=False)
    if weight.source.by_hand:
        raise WeightsError(f"{weight.name}: its publisher has no direct address; get {weight.file} from {weight.page} and put it at {path}")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise WeightsError(
            f"{weight.name}: HF_HUB_OFFLINE is set and {path} is not there; fetch it where there is network and copy {models_folder()} here"
        )
    if weight.commercial == "unclear":
        console.print(f"{weight.name}: licence: {weight.licence}; see {weight.page} before commercial use", highlight=False)
    url = _url(weight, pin)
    with _explained(weight, url):
        found = get_hf_file_metadata(url, endpoint=_endpoint(), token=None if weight.source.repository else False)
    _check_offer(weight, pin, found, url)
    part = _part(weight, found)
    try:
        with _explained(weight, url):
            _download(weight, found, url, part)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        part.unlink(missing_ok=True)  # a full disk is nobody's friend
        raise WeightsError(_no_room(weight, found.size or weight.size_bytes or 0)) from None
    _take(weight, pin, found, part)


def _take(weight: Weight, pin: Pin | None, found: HfFileMetadata, part: Path) -> None:
    """From a finished part to the file, if it is the right one."""
    sha256, size = sha256_of(part), part.stat().st_size
    expected = pin.sha256 if pin else _sha256_in(found.etag)
    if expected is not None and sha256 != expected:
        part.unlink()
        raise WeightsError(f"{weight.name}: what came has digest {sha256[:12]}, should be {expected[:12]}; nothing was kept")
    path = path_of(weight)
    path.parent.mkdir(parents=True, exist_ok=True)
    part.replace(path)
    note(weight.name, Pin(sha256, size, found.commit_hash))
    checked = "digest checked" if expected else "no digest to compare with: `fauscan models lock` pins this one"
    console.print(f"{weight.name}: {megabytes(size)}, {checked}", highlight=False)


def _download(weight: Weight, found: HfFileMetadata, url: str, part: Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    came = part.stat().st_size if part.is_file() else 0
    if found.size is not None and came > found.size:
        part.unlink()
        came = 0
    missing = (found.size or weight.size_bytes or 0) - came
    if shutil.disk_usage(part.parent).free < missing + _RESERVE_BYTES:
        raise OSError(errno.ENOSPC, "too little space")
    headers = build_hf_headers(token=None if weight.source.repository else False)
    if httpx2.URL(found.location).host != httpx2.URL(url).host:
        headers.pop("authorization", None)  # the token is the hub's, not its storage's
    headers["Accept-Encoding"] = "identity"  # a compressed body has no length, and can't be gone on with
    with part.open("ab") as file, _progress(weight.name, found.size, came) as bar:
        http_get(found.location, file, resume_size=came, headers=headers, expected_size=found.size, tqdm_class=bar)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def _url(weight: Weight, pin: Pin | None) -> str:
    if weight.source.url is not None:
        return weight.source.url
    revision = weight.source.revision or (pin.revision if pin else None) or "main"
    return hf_hub_url(weight.source.repository or "", weight.file, revision=revision, endpoint=_endpoint())


def _endpoint() -> str:
    """The hub, or the mirror that HF_ENDPOINT names, as it is now: the library looks only when it is imported."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _check_offer(weight: Weight, pin: Pin | None, found: HfFileMetadata, url: str) -> None:
    """Refuses before a byte has come what can't be right in the end."""
    if weight.source.repository and found.commit_hash is None:
        raise WeightsError(f"{weight.name}: {url} does not answer as a hub (no commit in its answer); check HF_ENDPOINT")
    offered = _sha256_in(found.etag)
    if pin and weight.source.repository and offered and offered != pin.sha256:
        raise WeightsError(f"{weight.name}: {_endpoint()} offers {offered[:12]}, should be {pin.sha256[:12]}; nothing was fetched")


def _sha256_in(etag: str | None) -> str | None:
    """The hub's tag of a large file is its SHA-256; of a small one something else."""
    return etag if etag and len(etag) == _SHA256_DIGITS and set(etag) <= set("0123456789abcdef") else None


def _part(weight: Weight, found: HfFileMetadata) -> Path:
    """Unfinished file. Its name holds the server's tag: other bytes are never appended to it."""
    tag = hashlib.sha256(f"{found.commit_hash} {found.etag} {found.size}".encode()).hexdigest()[:16]
    return models_folder() / _PARTS / f"{weight.name}-{tag}"


def _no_room(weight: Weight, size: int) -> str:
    free = megabytes(shutil.disk_usage(models_folder()).free)
    return f"{models_folder()}: {free} free, {weight.name} needs {megabytes(size)}; make room, or name another disk in FAUSCAN_MODELS"


@contextlib.contextmanager
def _explained(weight: Weight, url: str) -> Iterator[None]:
    """What the library raises, as a line for a person."""
    again = "; what has come is kept, the same command goes on"
    try:
        yield
    except OfflineModeIsEnabled:
        raise WeightsError(f"{weight.name}: offline mode is on; fetch it where there is network and copy {models_folder()}") from None
    except GatedRepoError:
        raise WeightsError(f"{weight.name}: {weight.page} asks you to sign in and to agree first; then set HF_TOKEN") from None
    except HfHubHTTPError as error:
        code = error.response.status_code
        if code in {408, 429} or code >= 500:
            raise TransferError(f"{weight.name}: {url} answers {code}{again}") from None
        raise WeightsError(f"{weight.name}: {url} answers {code}; is the file still there? See {weight.page}") from None
    except httpx2.HTTPError as error:
        raise TransferError(f"{weight.name}: the connection to {httpx2.URL(url).host} failed ({type(error).__name__}){again}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        # The library's own, for fewer bytes than were announced.
        raise TransferError(f"{weight.name}: the download from {httpx2.URL(url).host} ended early{again}") from None


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{folder}: another `fauscan models fetch` is at work here") from None
        yield


@contextlib.contextmanager
def _progress(name: str, total: int | None, came: int) -> Iterator[type]:
    """A bar in the terminal, as the class that the library reports to."""
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total, completed=came)

        class Bar:
            """The part of tqdm that is asked for."""

            def __init__(self, *_args: object, **_options: object) -> None:
                pass

            def __enter__(self) -> Bar:
                return self

            def __exit__(self, *_error: object) -> None:
                pass

            def update(self, size: float | None = 1) -> None:
                progress.advance(task, size or 0)

        yield Bar
