"""Errors that end a command with one line, for a person to act on."""

from __future__ import annotations


class FauScanError(Exception):
    """Wrong input or set-up. The message is one line: where, what it is, what would be right."""


class ParamsError(FauScanError):
    """A parameter is unknown, missing or out of range."""


class ArchiveError(FauScanError):
    """The archive can't be listed, or holds nothing to label."""


class WorkspaceError(FauScanError):
    """A folder is not a workspace, or a step was asked for before the one it needs."""


class BusyError(WorkspaceError):
    """Another process is at work in the workspace; trying again later helps."""


class SchemaError(WorkspaceError):
    """A table's file holds another table, or a version of it that can't be read."""


class CheckpointError(FauScanError):
    """A weights file is missing, damaged, or made for something else."""


class WeightsError(FauScanError):
    """A file of the registry of weights is unknown, missing, or not what it should be."""


class TransferError(WeightsError):
    """A download did not come to its end for a reason that may pass; trying again helps, and goes on where it stopped."""


class TruthError(FauScanError):
    """Metadata with the truth of an archive is missing or wrong."""


class DeviceError(FauScanError):
    """A device can't do what was asked of it: its memory is too small."""
