from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipelines.weights.fetch import fetch
from pipelines.weights.folder import locate
from pipelines.weights.records import Pin, read_notes
from pipelines.weights.registry import weight_named
from schemas.errors import BusyError, TransferError, WeightsError
from tests.pipelines.weights.conftest import BYTES, SHA256
from tests.pipelines.weights.hub import COMMIT, Hub

pytestmark = pytest.mark.usefixtures("register")


def get(names: Sequence[str], lock: dict[str, Pin] | None = None, accept_licence: bool = False) -> None:
    fetch([weight_named(name) for name in names], lock or {}, accept_licence)


def left(folder: Path) -> list[str]:
    """All that lies in the folder, but the lock."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


def test_a_file_comes_whole_and_is_written_down(hub: Hub, folder: Path) -> None:
    get(["eyes"])
    assert locate("eyes") == folder / "maker/eyes/eyes.bin"
    assert locate("eyes").read_bytes() == BYTES
    assert left(folder) == ["fetched.json", "maker/eyes/eyes.bin"]
    assert read_notes() == {"eyes": Pin(SHA256, len(BYTES), COMMIT)}
    assert hub.asked[0][1] == f"/maker/eyes/resolve/{COMMIT}/eyes.bin"


def test_what_is_there_already_is_not_fetched_again(hub: Hub, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    get(["eyes"])
    before = len(hub.asked)
    get(["eyes"])
    assert len(hub.asked) == before
    assert "there already" in capfd.readouterr().err


def test_a_transfer_that_is_cut_off_goes_on_by_itself(hub: Hub, folder: Path) -> None:
    hub.cut_after = [300_000, 200_000]
    get(["eyes"])
    assert locate("eyes").read_bytes() == BYTES
    assert [row[2] for row in hub.bodies()] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_transfer_that_stays_cut_off_keeps_what_came_for_the_next_try(hub: Hub, folder: Path) -> None:
    hub.cut_after = [400_000, *[0] * 6]
    with pytest.raises(TransferError, match=r"eyes: the connection to 127\.0\.0\.1 failed .* what has come is kept"):
        get(["eyes"])
    assert not (folder / "maker").exists()
    with pytest.raises(WeightsError, match="run `fauscan models fetch eyes`"):
        locate("eyes")
    (part,) = (folder / ".parts").iterdir()
    assert part.read_bytes() == BYTES[:400_000]
    hub.asked.clear()
    hub.cut_after.clear()
    get(["eyes"])
    assert [row[2] for row in hub.bodies()] == ["bytes=400000-"]
    assert locate("eyes").read_bytes() == BYTES
    assert not part.exists()


def test_parts_of_other_bytes_are_not_gone_on_with(hub: Hub, folder: Path) -> None:
    hub.cut_after = [400, *[0] * 6]
    with pytest.raises(TransferError):
        get(["ears"], accept_licence=True)
    hub.cut_after.clear()
    hub.files["maker/ears/ears.bin"] = BYTES[1000:3000]
    get(["ears"], accept_licence=True)
    assert locate("ears").read_bytes() == BYTES[1000:3000]


def test_other_bytes_than_the_registry_knows_are_refused_before_they_come(hub: Hub, folder: Path) -> None:
    hub.files["maker/eyes/eyes.bin"] = BYTES[::-1]
    with pytest.raises(WeightsError, match=f"offers [0-9a-f]{{12}}, should be {SHA256[:12]}; nothing was fetched"):
        get(["eyes"])
    assert hub.bodies() == []


def test_a_mirror_that_lies_about_its_bytes_leaves_nothing(hub: Hub, folder: Path) -> None:
    hub.files["maker/eyes/eyes.bin"], hub.says = BYTES[::-1], SHA256
    with pytest.raises(WeightsError, match=f"eyes: what came has digest [0-9a-f]{{12}}, should be {SHA256[:12]}; nothing was kept"):
        get(["eyes"])
    assert left(folder) == []


def test_a_damaged_file_is_fetched_again(hub: Hub, folder: Path) -> None:
    get(["eyes"])
    damaged = bytearray(BYTES)
    damaged[5] ^= 1
    locate("eyes").write_bytes(damaged)
    get(["eyes"])
    assert locate("eyes").read_bytes() == BYTES


def test_without_a_revision_the_commit_of_that_day_is_written_down(hub: Hub, folder: Path) -> None:
    get(["ears"], accept_licence=True)
    assert hub.asked[0][1] == "/maker/ears/resolve/main/ears.bin"
    assert read_notes()["ears"].revision == COMMIT


def test_a_lock_decides_which_revision_and_which_bytes(hub: Hub, folder: Path) -> None:
    other = "7" * 40
    good = hashlib.sha256(BYTES[:1000]).hexdigest()
    get(["ears"], {"ears": Pin(good, 1000, other)}, accept_licence=True)
    assert hub.asked[0][1] == f"/maker/ears/resolve/{other}/ears.bin"
    with pytest.raises(WeightsError, match=f"should be {'a' * 12}"):
        get(["ears"], {"ears": Pin("a" * 64, 1000, other)}, accept_licence=True)
    assert locate("ears").read_bytes() == BYTES[:1000]  # the old one stays until there is a better one


def test_a_small_file_whose_tag_is_no_digest_comes_too(hub: Hub, folder: Path) -> None:
    hub.small = True
    get(["ears"], accept_licence=True)
    assert locate("ears").read_bytes() == BYTES[:1000]


def test_a_licence_that_forbids_commercial_use_is_accepted_by_name(hub: Hub, folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"ears: not for commercial use \(its own; https://example\.org/eyes\); --accept-licence"):
        get(["eyes", "ears"])
    assert hub.asked == []


def test_offline_is_said_before_anything_is_asked(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE is set and .* is not there; fetch it where there is network and copy"):
        get(["eyes"])
    assert hub.asked == []


def test_offline_does_not_matter_for_what_is_there(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get(["eyes"])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    get(["eyes"])


def test_a_hub_that_can_not_be_reached_is_passing_trouble(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    with pytest.raises(TransferError, match=r"the connection to 127\.0\.0\.1 failed"):
        get(["eyes"])


def test_a_hub_that_is_down_is_passing_trouble(hub: Hub, folder: Path) -> None:
    hub.down = True
    with pytest.raises(TransferError, match="answers 503; what has come is kept"):
        get(["eyes"])


def test_a_file_that_the_hub_does_not_have_is_not(hub: Hub, folder: Path) -> None:
    del hub.files["maker/eyes/eyes.bin"]
    with pytest.raises(WeightsError, match=r"answers 404; is the file still there\? See https://example\.org/eyes") as caught:
        get(["eyes"])
    assert not isinstance(caught.value, TransferError)


def test_a_repository_that_asks_for_consent_says_where(hub: Hub, folder: Path) -> None:
    hub.gated = True
    with pytest.raises(WeightsError, match=r"https://example\.org/eyes asks you to sign in .* HF_TOKEN"):
        get(["eyes"])


def test_a_server_that_is_no_hub_is_named(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/storage")
    hub.files[f"maker/eyes/resolve/{COMMIT}/eyes.bin"] = BYTES
    with pytest.raises(WeightsError, match=r"does not answer as a hub .* check HF_ENDPOINT"):
        get(["eyes"])


def test_a_disk_that_is_too_small_is_said_before_and_leaves_nothing(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr("pipelines.weights.fetch.shutil.disk_usage", lambda _: usage)
    with pytest.raises(WeightsError, match="1 MB free, eyes needs 1 MB; make room, or name another disk in FAUSCAN_MODELS"):
        get(["eyes"])
    assert left(folder) == []
    assert hub.bodies() == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pipelines.weights.fetch.os.fsync", full)
    with pytest.raises(WeightsError, match="make room"):
        get(["eyes"])
    assert left(folder) == []


def test_a_kill_before_the_rename_leaves_no_file_under_its_name(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr("pipelines.weights.fetch._take", killed)
        get(["eyes"])
    assert [Path(name).parts[0] for name in left(folder)] == [".parts"]
    hub.asked.clear()
    get(["eyes"])
    assert hub.bodies() == []  # all of it had come
    assert locate("eyes").read_bytes() == BYTES


def test_a_file_that_is_got_by_hand_names_its_page_and_its_place(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"get nose\.pth from https://example\.org/eyes and put it at .*/weights/nose/nose\.pth"):
        get(["nose"])


def test_a_plain_address_needs_no_hub(hub: Hub, folder: Path, register: Callable[..., None]) -> None:
    entry = {"purpose": "tests", "licence": "MIT", "page": "https://example.org", "commercial": "yes"}
    register(mouth={**entry, "source": {"url": f"{hub.url}/plain/mouth.pt"}})
    get(["mouth"])
    assert locate("mouth").read_bytes() == BYTES[:2000]


def test_two_fetches_into_one_folder_do_not_meet(hub: Hub, folder: Path) -> None:
    folder.mkdir()
    with (folder / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another `fauscan models fetch` is at work here"):
            get(["eyes"])


def test_the_token_goes_to_the_hub_and_not_to_its_storage(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("pipelines.weights.fetch.http_get", lambda *_, headers, **__: sent.append(headers))
    monkeypatch.setattr("pipelines.weights.fetch._take", lambda *_: None)
    get(["eyes"])
    hub.small = True
    get(["eyes"])
    assert ["authorization" in headers for headers in sent] == [False, True]
