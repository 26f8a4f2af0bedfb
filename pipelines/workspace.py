"""Workspace: the folder that holds one archive's labels, their parameters and their history."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import models
from pipelines.archive import Archive
from pipelines.store import Store
from pipelines.weights.folder import file_or_name
from schemas import params as params_module
from schemas.errors import ParamsError, WorkspaceError
from schemas.params import PipelineParams


class Workspace:
    """Where everything lies, and the parameters that hold here."""

    def __init__(self, root: Path, params: PipelineParams) -> None:
        self.root = root.absolute()
        self.params = params

    @classmethod
    def open(cls, root: Path, params_file: Path | None = None) -> Workspace:
        """The workspace in a folder, with the parameters of its `params.yaml` or of another file.

        Raises:
            WorkspaceError: no such folder, or one that is pinned to another version of FauScan.
            ParamsError: no parameters, or wrong ones.
        """
        if not root.is_dir():
            raise WorkspaceError(f"{root}: no such folder; `fauscan init {root} --archive URI` makes a workspace")
        _check_pin(root / "requirements.txt")
        return cls(root, params_module.load(params_file or root / "params.yaml"))

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def inventory(self) -> Path:
        return self.data / "inventory.parquet"

    @property
    def truth_problems(self) -> Path:
        return self.data / "truth_problems.parquet"

    @property
    def labels(self) -> Path:
        return self.data / "labels"

    @property
    def report(self) -> Path:
        return self.root / "reports" / "index.html"

    def manifest(self, stage: str) -> Path:
        return self.data / "manifests" / f"{stage}.parquet"

    def archive(self) -> Archive:
        """Raises ParamsError when `archive.uri` is not set."""
        uri = self.params.archive.uri
        if not uri:
            raise ParamsError(f"{self.root / 'params.yaml'}: archive.uri is not set; put the folder or URL of your videos there")
        return Archive(self._absolute(uri), self.store_uri)

    def store(self) -> Store:
        return Store(self.store_uri)

    @property
    def store_uri(self) -> str:
        return self._absolute(self.params.store.uri)

    def embedding_weights(self) -> Path:
        """Of the frozen FAU encoder, where `fau.embedding` is me-graphau. Raises WeightsError for a name whose file is not here."""
        return file_or_name(self.params.fau.embedding_weights, self.root)

    def weights(self) -> Path:
        """The checkpoint: in the workspace, else the one that ships with FauScan under the same name."""
        wanted = Path(self.params.score.weights)
        own = self.root / wanted
        shipped = Path(next(iter(models.__path__)), wanted.name)
        return shipped if not own.is_file() and wanted.parent == Path("models") and shipped.is_file() else own

    def _absolute(self, uri: str) -> str:
        return uri if "://" in uri or uri.startswith("memory:") else str(self.root / Path(uri).expanduser())


def _check_pin(requirements: Path) -> None:
    """Labels of one history are made by one version, until a person moves the pin."""
    if not requirements.is_file():
        return
    for line in requirements.read_text(encoding="utf-8").splitlines():
        pinned = line.partition("#")[0].replace(" ", "").removeprefix("fauscan==")
        if line.strip().startswith("fauscan") and "==" in line and pinned != version("fauscan"):
            raise WorkspaceError(
                f"{requirements}: pins FauScan {pinned}, this is {version('fauscan')}; install the pinned one, or change the pin and commit"
            )
