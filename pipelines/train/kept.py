"""Kept: training on the features of a frozen network that the workspace keeps, instead of running that network again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.features import reads_features
from pipelines.workspace import Workspace
from schemas.errors import ParamsError

if TYPE_CHECKING:
    from fauforensics import FauForensics, ReferenceFauForensics


def check_kept(workspace: Workspace, preset: str) -> None:
    """Raises ParamsError where the workspace keeps no features that this preset can be trained on."""
    embedding = workspace.params.fau.embedding
    if not reads_features(preset, embedding):
        wanted = "me-graphau" if preset == "reference" else "multitask or me-graphau"
        raise ParamsError(
            f"fau_features is true, but {workspace.root / 'params.yaml'} has fau.embedding: {embedding}; preset {preset!r} reads {wanted}"
        )


def sizes(workspace: Workspace, preset: str, num_features: int) -> dict[str, Any]:
    """What the features fix of the network's sizes."""
    if preset == "lite":
        return {"num_features": num_features}
    from fauforensics.trunk import load_trunk  # noqa: PLC0415 - torch is slow to import

    return {"fau_input_px": load_trunk(workspace.embedding_weights(), workspace.params.fau.embedding_input_px).input_px}


def adopt_trunk(net: FauForensics | ReferenceFauForensics, workspace: Workspace, given: bool) -> None:
    """Gives a reference network the trunk that made the features, so that its checkpoint can do without them.

    Args:
        net: gets the weights.
        workspace: keeps the features.
        given: the network's FAU encoder comes from a file that was asked for, and has to be the same.

    Raises:
        ParamsError: it is another one.
        CheckpointError: the workspace's file can't be used.
    """
    from fauforensics import ReferenceFauForensics  # noqa: PLC0415
    from fauforensics.trunk import load_trunk, trunk_digest  # noqa: PLC0415

    if not isinstance(net, ReferenceFauForensics):
        return
    trunk = load_trunk(workspace.embedding_weights(), workspace.params.fau.embedding_input_px)
    if given and trunk_digest(net.fau_encoder) != trunk_digest(trunk):
        raise ParamsError(
            f"--init-fau or --init-from holds another FAU encoder than {workspace.embedding_weights()}, whose features are kept; "
            "leave it out, or set fau_features: false"
        )
    net.fau_encoder.backbone.load_state_dict(trunk.backbone.state_dict())
    net.fau_encoder.global_linear.load_state_dict(trunk.global_linear.state_dict())
