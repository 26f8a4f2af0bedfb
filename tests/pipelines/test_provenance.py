from __future__ import annotations

from pathlib import Path

import models
from fauforensics.checkpoint_info import read_info
from pipelines.provenance import Provenance
from schemas.params import LabelParams, PipelineParams

INFO = read_info(Path(next(iter(models.__path__)), "lite.safetensors"))


def test_the_thresholds_are_those_in_force() -> None:
    own = Provenance.of(PipelineParams(), INFO, "cpu", "f" * 32)
    assert (own.fake_above, own.real_below) == (INFO.calibration.fake_above, INFO.calibration.real_below)
    given = Provenance.of(PipelineParams(label=LabelParams(fake_above=0.99)), INFO, "cpu", "f" * 32)
    assert (given.fake_above, given.real_below) == (0.99, INFO.calibration.real_below)


def test_a_receipt_gives_it_back_and_an_older_receipt_has_the_same_id() -> None:
    facts = Provenance.of(PipelineParams(), INFO, "cpu", "f" * 32)
    assert Provenance.from_notes(facts.as_notes()) == facts
    notes = facts.as_notes()
    del notes["fake_above"], notes["real_below"]
    older = Provenance.from_notes(notes)
    assert older.provenance_id == facts.provenance_id
    assert older.fake_above is None
    assert older.as_notes() == notes
