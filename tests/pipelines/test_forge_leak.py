"""Nothing about the container may tell a forgery from a control: not size, not rates, not counts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.forge import forge_archive
from schemas.recipe import ForgeRecipe
from tests.conftest import SHARED, needs_shared

CLIPS = 48


def container_facts(path: Path) -> list[float]:
    """What a look at the packets tells, without decoding one."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        packets = [p for p in container.demux() if p.size]
        picture = np.array([p.size for p in packets if p.stream.type == "video"], float)
        sound = np.array([p.size for p in packets if p.stream.type == "audio"], float)
        keys = sum(p.is_keyframe for p in packets if p.stream.type == "video")
        seconds = float(video.duration * video.time_base)
        size = path.stat().st_size
        return [
            size, size - picture.sum() - sound.sum(), seconds, video.width, video.height, audio.sample_rate, len(picture), len(sound),
            keys, picture.sum() / seconds, sound.sum() / seconds, picture.max(), picture.std() / picture.mean(), sound.max(), sound.std(),
        ]  # fmt: skip


@needs_shared
@pytest.mark.slow
def test_container_facts_do_not_tell_forgeries_from_controls(tmp_path: Path) -> None:
    """48 takes: 48 controls, 144 forgeries, cross-validated with whole takes left out.

    By chance the AUC of 48 against 144 has a standard error of sqrt((48 + 144 + 1) / (12 * 48 * 144)) = 0.048; the bound is two
    of them above one half. The same take's files share size, length and rates, so that a fact that gave all forgeries away,
    such as another encoder or a missing packet, would come out near 1.
    """
    source = tmp_path / "real"
    source.mkdir()
    for path in sorted((SHARED / "media" / "grid_s1").glob("*.mpg"))[:CLIPS]:
        shutil.copy(path, source)
    recipe = ForgeRecipe(forgeries_per_identity=0, identities={"bb*": "1", "bg*": "2", "br*": "3", "bw*": "4"})
    forge_archive(str(source), tmp_path / "out", recipe, seed=1)
    rows = json.loads((tmp_path / "out" / "metadata.json").read_bytes())
    facts = np.log1p([container_facts(tmp_path / "out" / row["file"]) for row in rows])
    fake = np.array([row["kind"] != "real" for row in rows])
    takes = np.array([row["take"] for row in rows])
    assert fake.sum() == 3 * CLIPS and (~fake).sum() == CLIPS
    for model in (
        HistGradientBoostingClassifier(max_iter=60, class_weight="balanced", random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000)),
    ):
        guess = cross_val_predict(model, facts, fake, groups=takes, cv=GroupKFold(6), method="predict_proba")[:, 1]
        assert roc_auc_score(fake, guess) < 0.5 + 2 * 0.048
    # Within a take, where all else is equal: counts, length and rates agree exactly.
    exact = [2, 3, 4, 5, 6, 7, 8]
    for take in np.unique(takes):
        assert np.ptp(facts[takes == take][:, exact], axis=0).max() == 0
