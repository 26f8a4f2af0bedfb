"""Archive, store and DVC remote on a real S3 server."""

from __future__ import annotations

import http.server
import importlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.archive import Archive
from pipelines.failures import list_failures
from pipelines.garbage import Kind, collect_garbage, find_uploads, find_waste
from pipelines.storage import PART_BYTES
from pipelines.store import Store
from pipelines.verify import run_verify, verify
from pipelines.whole import label_all, open_for_run
from pipelines.workspace import Workspace
from schemas.errors import ArchiveError, WorkspaceError
from schemas.reasons import Outcome, Reason
from stages.contract import MediaError
from tests.pipelines.s3_server import CUT, NEWLINE, PAGE, SHORT, S3Server, breaking_proxy, point_to
from tests.pipelines.test_cli import fauscan, refused
from tests.pipelines.test_store import commit
from tests.pipelines.test_whole import tree

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KEY = "ab" * 16


def put(s3: S3Server, bucket: str, objects: dict[str, bytes]) -> None:
    client = s3.client
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.put_object(Bucket=bucket, Key=name, Body=objects[name]), objects))


def keys(s3: S3Server, bucket: str) -> list[str]:
    return [found["Key"] for found in s3.client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def calls(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What s3fs asked the server for, and forgets it."""
    found = [r.getMessage().split()[1] for r in caplog.records if r.name == "s3fs" and r.getMessage().startswith("CALL: ")]
    caplog.clear()
    return found


# --- the whole chain -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def remote(moto_server: S3Server, small_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A DVC workspace with the labels of the small archive, and archive and store on S3. Read only."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_to(moto_server.url, monkeypatch)
        bucket, workspace = moto_server.make_bucket(), tmp_path_factory.mktemp("remote") / "ws"
        put(moto_server, bucket, {f"videos/{name}": data for name, data in tree(small_workspace.parent / "archive").items()})
        done = fauscan("init", workspace, "--archive", f"s3://{bucket}/videos")
        assert done.returncode == 0, done.stderr
        params = workspace / "params.yaml"
        text = params.read_text(encoding="utf-8")
        # The store lies inside the archive, and must be left out there.
        for old, new in ("uri: store", f"uri: s3://{bucket}/videos/store"), ("name: ray", "name: local"), ("workers: 0", "workers: 1"):
            assert old in text
            text = text.replace(old, new)
        params.write_text(text, encoding="utf-8")
        done = fauscan("run", f"s3://{bucket}/videos", "-w", workspace, "--engine", "local")
        assert done.returncode == 0, done.stderr
        yield workspace


def test_archive_and_store_on_s3_give_the_bytes_of_local_folders(s3: S3Server, remote: Path, small_workspace: Path) -> None:
    ours, local = tree(remote / "data"), tree(small_workspace / "data")
    assert sorted(ours) == sorted(local)
    assert [name for name in ours if ours[name] != local[name]] == []
    assert not (remote / "store").exists()
    stored = Workspace.open(remote).store()
    units = {name: len(data) for name, data in tree(small_workspace / "store").items() if "/" in name}
    assert {file.name: file.size_bytes for file in stored.files() if "/" in file.name} == units


def test_everything_is_verified_and_nothing_new_computes_nothing(s3: S3Server, remote: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace, before = Workspace.open(remote), tree(remote / "data")
    label_all(open_for_run(str(workspace.params.archive.uri), remote, "local", None))
    assert capsys.readouterr().err.count("nothing new") == 6
    assert tree(remote / "data") == before
    run_verify(workspace)
    assert "3 files, 5 receipts, 7 tables" in capsys.readouterr().err
    collect_garbage(workspace, delete=True, superseded=True, older_than_s=0)
    assert "nothing to delete" in capsys.readouterr().err
    list_failures(workspace, [], None, every_row=True)
    assert "open_failed" in capsys.readouterr().err


def test_a_dvc_remote_carries_the_labels_to_another_machine(s3: S3Server, bucket: str, remote: Path, tmp_path: Path) -> None:
    workspace, clone = tmp_path / "ws", tmp_path / "clone"
    shutil.copytree(remote, workspace)

    def run(folder: Path, *command: str) -> str:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dvc = (sys.executable, "-m", "dvc")
    run(workspace, *dvc, "remote", "add", "-d", "labels", f"s3://{bucket}/dvc")
    run(workspace, *dvc, "remote", "modify", "labels", "endpointurl", s3.url)
    run(workspace, sys.executable, "-m", "pipelines.cli", "evaluate", "--if-known")
    run(workspace, *dvc, "commit", "-f")  # what `fauscan run` made; the steps need not run again
    assert run(workspace, *dvc, "repro").count("didn't change, skipping") == 7
    run(workspace, *dvc, "push")
    run(workspace, "git", "add", "-A")
    run(workspace, "git", "-c", "user.name=N", "-c", "user.email=n@localhost", "commit", "-q", "-m", "labels")
    run(tmp_path, "git", "clone", "-q", str(workspace), str(clone))
    run(clone, *dvc, "pull")
    assert tree(clone / "data") == tree(workspace / "data")
    assert tree(clone / "data" / "labels") == tree(remote / "data" / "labels") != {}
    assert (clone / "reports" / "index.html").is_file()
    # The store is on the server, too: the clone has everything that its labels rest on.
    assert list(verify(Workspace.open(clone))) == []


# --- what can be wrong -----------------------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there_is_named(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    message = "archive s3://no-such-bucket/videos: can't be listed: no such bucket; create it, or correct its name"
    refused(fauscan("run", "s3://no-such-bucket/videos", "-w", tmp_path / "a"), message)
    put(s3, bucket, {"a.mp4": b"1"})
    (tmp_path / "params.yaml").write_text("store: {uri: s3://no-such-bucket/store}", encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"store.uri s3://no-such-bucket/store: no such bucket; create it, or correct its name"):
        label_all(open_for_run(f"s3://{bucket}", tmp_path, "local", None))
    store = Store("s3://no-such-bucket/store")
    for ask in (lambda: store.receipt("faces", KEY), lambda: store.receipts("faces", [KEY]), store.files, lambda: commit(store)):
        with pytest.raises(WorkspaceError, match="no such bucket"):
            ask()


def test_an_empty_prefix_and_a_file_are_no_archives(s3: S3Server, bucket: str) -> None:
    put(s3, bucket, {"a.mp4": b"1", "folder/": b""})
    for uri, message in (("nothing", "holds no files"), ("folder", "holds no files"), ("a.mp4", "is a file; give the folder")):
        with pytest.raises(ArchiveError, match=message):
            Archive(f"s3://{bucket}/{uri}").listing()
    with pytest.raises(ArchiveError, match="is the store itself"):
        Archive(f"s3://{bucket}", f"s3://{bucket}/").listing()


def test_wrong_credentials_are_one_line(s3: S3Server, bucket: str) -> None:
    advice = "; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they are allowed to do"
    with s3.asking_for_credentials():
        with pytest.raises(ArchiveError, match="access denied .*" + advice):
            Archive(f"s3://{bucket}").listing()
        with pytest.raises(WorkspaceError, match="access denied .*" + advice):
            Store(f"s3://{bucket}").receipts("faces", [KEY])
        with pytest.raises(MediaError) as refusal, Archive(f"s3://{bucket}").open_media("a.mp4"):
            pass
        assert refusal.value.reason is Reason.READ_FAILED


def test_no_credentials_are_one_line(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ArchiveError, match="no credentials; set AWS_ACCESS_KEY_ID"):
        Archive(f"s3://{bucket}").listing()


def test_an_endpoint_that_is_down_is_named(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    message = r"the storage does not answer; check the network and AWS_ENDPOINT_URL \(http://127.0.0.1:9 was asked\)"
    with pytest.raises(ArchiveError, match=message):
        Archive(f"s3://{bucket}").listing()
    with pytest.raises(WorkspaceError, match=message):
        commit(Store(f"s3://{bucket}"))


def test_an_endpoint_that_is_no_s3_is_named(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class NotFound(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

    with http.server.HTTPServer(("127.0.0.1", 0), NotFound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        point_to(f"http://127.0.0.1:{server.server_address[1]}", monkeypatch)
        with pytest.raises(ArchiveError, match="what answers there does not speak S3; check AWS_ENDPOINT_URL"):
            Archive("s3://some-bucket/folder").listing()
        with pytest.raises(WorkspaceError, match="does not speak S3"):
            Store("s3://some-bucket/store").receipt("faces", KEY)
        server.shutdown()


def test_an_endpoint_that_is_no_url_is_named(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "storage.example")
    with pytest.raises(ArchiveError, match="AWS_ENDPOINT_URL must be like https://host:port"):
        Archive("s3://some-bucket").listing()


def test_without_s3fs_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, "s3", raising=False)
    for open_it, error in ((Archive, ArchiveError), (Store, WorkspaceError)):
        with pytest.raises(error, match=r"s3://some-bucket: s3:// needs the package s3fs; pip install 'fauscan\[s3\]'"):
            open_it("s3://some-bucket")


# --- the store -------------------------------------------------------------------------------------------------------


def test_what_another_process_writes_and_deletes_is_seen_at_once(s3: S3Server, bucket: str) -> None:
    store, archive = Store(f"s3://{bucket}/store"), Archive(f"s3://{bucket}/videos")
    assert store.files() == []
    assert store.receipts("faces", [KEY]) == {}
    put(s3, bucket, {f"store/faces/ab/{KEY}/receipt.json": b"{", "videos/a.mp4": b"1"})
    assert archive.listing()["uri"].to_pylist() == ["a.mp4"]
    assert [file.size_bytes for file in store.files()] == [1]
    assert store.receipt("faces", KEY) is None  # damaged
    s3.client.delete_object(Bucket=bucket, Key=f"store/faces/ab/{KEY}/receipt.json")
    put(s3, bucket, {"videos/b.mp4": b"2"})
    assert store.files() == []
    assert archive.listing()["uri"].to_pylist() == ["a.mp4", "b.mp4"]
    with archive.open_media("b.mp4") as path:
        assert path.read_bytes() == b"2"
    store.forget("faces", KEY)


def test_many_receipts_cost_one_request_each(s3: S3Server, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(f"s3://{bucket}/[store]*")  # names are no patterns
    commit(store)
    receipt = store.receipt("faces", KEY)
    assert receipt is not None
    names = [f"{i:032x}" for i in range(40)]
    path = "[store]*/faces/00/{}/receipt.json"
    put(s3, bucket, {path.format(name): receipt.to_json() for name in names[:30]} | {path.format(names[30]): b"{"})
    with caplog.at_level(logging.DEBUG, "s3fs"):
        found = store.receipts("faces", [*names, KEY, KEY])
        assert calls(caplog) == ["get_object"] * 41
        assert store.receipt("faces", "no such unit") is None
        assert calls(caplog) == ["get_object"]
    assert found == dict.fromkeys([*names[:30], KEY], receipt)


def test_an_upload_that_is_cut_off_leaves_nothing_to_read_and_gc_takes_it_away(
    s3: S3Server, remote: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.open(remote)
    script = f"""
import os, signal
import numpy as np, pyarrow as pa
from s3fs import S3FileSystem
from pipelines.store import Store
ask = S3FileSystem._call_s3
async def die(self, method, *given, **named):
    answer = await ask(self, method, *given, **named)
    if method == "upload_part":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
S3FileSystem._call_s3 = die
noise = np.random.default_rng(0).integers(0, 2**63, {2 * PART_BYTES // 8 + 1000})
Store({workspace.store_uri!r}).commit("faces", "unit", {KEY!r}, "fp", {{}}, [], {{"faces": pa.table({{"x": noise}})}}, {{}})
"""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    store = workspace.store()
    assert store.receipt("faces", KEY) is None
    assert [file for file in store.files() if KEY in file.name] == []
    assert store.fingerprint_of("faces", KEY, "faces") is None
    assert list(find_waste(workspace, superseded=False, older_than_s=0)) == []
    other = s3.client.create_multipart_upload(Bucket=workspace.store_uri.split("/")[2], Key="videos/store/notes/of/somebody/else.bin")
    waste = find_uploads(workspace, older_than_s=0)
    assert [w.file.name for w in waste] == [f"faces/ab/{KEY}/faces.parquet"]
    assert waste[0].kind is Kind.UPLOAD
    assert 0 < waste[0].file.size_bytes < 2 * PART_BYTES
    collect_garbage(workspace, delete=False, superseded=False, older_than_s=0)
    shown = capsys.readouterr().err
    assert "unfinished upload" in shown
    assert "nothing was deleted" in shown
    collect_garbage(workspace, delete=True, superseded=False, older_than_s=0)
    store.delete(waste[0].file)  # somebody else was quicker
    assert find_uploads(workspace, older_than_s=0) == []
    assert [file.upload_id for file in store.unfinished()] == [other["UploadId"]]


def test_a_table_of_several_parts_comes_back_whole(s3: S3Server, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    store, data = Store(f"s3://{bucket}"), os.urandom(2 * PART_BYTES + 1)
    with caplog.at_level(logging.DEBUG, "s3fs"):
        store._put(f"{bucket}/faces/ab/{KEY}/faces.parquet", data)
        assert calls(caplog).count("upload_part") == 3
    assert store.unfinished() == []
    found = store.fingerprint_of("faces", KEY, "faces")
    assert found is not None and found[0] == len(data)
    with Archive(f"s3://{bucket}/faces").open_media(f"ab/{KEY}/faces.parquet") as path:
        assert path.read_bytes() == data


# --- the archive -----------------------------------------------------------------------------------------------------


def test_names_of_any_kind_are_listed_and_read(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        "/leading.mp4", "./dot.mp4", "a b+c%25.mp4", "a?x=1&y.mp4", "back\\slash.mp4", "ends/in/slash/", "glob[1]*.mp4", "h#ash.mp4",
        "l" * 1000 + ".mp4", "no.suffix." + "s" * 300, "n\u00e4\u4e2d\N{GRINNING FACE}.mp4", "tab\t\x01.mp4", f"a{NEWLINE}b.mp4",
    ]  # fmt: skip
    put(s3, bucket, {f"v/{name}": name.encode() for name in names} | {"v/": b"", "v/folder/": b"", "v2/other.mp4": b"1"})
    with breaking_proxy(s3) as url:
        point_to(url, monkeypatch)
        archive = Archive(f"s3://{bucket}/v/")
        listing = dict(zip(*(archive.listing()[column].to_pylist() for column in ("uri", "size_bytes")), strict=True))
        assert sorted(listing) == sorted(name.replace(NEWLINE, "\n") for name in names)
        for uri, size_bytes in listing.items():
            with archive.open_media(uri) as path:
                assert path.stat().st_size == size_bytes == len(uri.replace("\n", NEWLINE).encode())
                assert path.read_bytes().decode().replace(NEWLINE, "\n") == uri


@pytest.mark.parametrize("name", ["../up.mp4", "x/../y.mp4", "a.mp4?versionId=1.mp4"])
def test_names_that_lead_to_other_objects_are_listed_and_never_read(s3: S3Server, bucket: str, name: str) -> None:
    put(s3, bucket, {f"v/{name}": b"1", "v/a.mp4": b"other", "v/y.mp4": b"other", "up.mp4": b"other"})
    archive = Archive(f"s3://{bucket}/v")
    assert name in archive.listing()["uri"].to_pylist()
    with pytest.raises(MediaError, match="a name must not contain") as refusal, archive.open_media(name):
        pass
    assert refusal.value.outcome is Outcome.FILTERED


def test_a_page_of_names_is_one_request(s3: S3Server, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    put(s3, bucket, {f"v/{i % 3}/{i % 5}/{i}.mp4": b"1" for i in range(2 * PAGE + 1)})
    archive = Archive(f"s3://{bucket}/v")
    with caplog.at_level(logging.DEBUG, "s3fs"):
        assert archive.listing().num_rows == 2 * PAGE + 1
    assert calls(caplog) == ["list_objects_v2"] * 3


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary copies are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_the_temporary_copy_goes_after_an_error(s3: S3Server, bucket: str, temporary: Path) -> None:
    put(s3, bucket, {"a.mp4": b"12345"})
    with pytest.raises(ZeroDivisionError), Archive(f"s3://{bucket}").open_media("a.mp4") as path:
        raise ZeroDivisionError(path.relative_to(temporary))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("name", "detail"), [(CUT, "payload"), (SHORT, "99,999 of 100,000 bytes came"), ("gone", "no such file")])
def test_a_download_that_breaks_off_is_that_videos_trouble(
    s3: S3Server, bucket: str, temporary: Path, monkeypatch: pytest.MonkeyPatch, name: str, detail: str
) -> None:
    put(s3, bucket, {"good.mp4": b"1" * 100_000, f"{CUT}.mp4": b"2" * 100_000, f"{SHORT}.mp4": b"3" * 100_000})
    with breaking_proxy(s3) as url:
        point_to(url, monkeypatch)
        archive = Archive(f"s3://{bucket}")
        with pytest.raises(MediaError, match=detail) as trouble, archive.open_media(f"{name}.mp4"):
            pass
        assert trouble.value.reason is Reason.READ_FAILED
        assert trouble.value.outcome is Outcome.FAILED
        assert list(temporary.iterdir()) == []
        with archive.open_media("good.mp4") as path:
            assert path.stat().st_size == 100_000
