"""Several seeds: a folder each, and their mean and spread."""

import json
from pathlib import Path

import numpy as np
import pytest

from crossmodal_jax.pipeline import RunConfig, run_seeds
from crossmodal_jax.pipeline._seeds import summarize


@pytest.fixture
def runs(monkeypatch):
    """Replaces `run` by one that only notes its configuration."""
    seen: list[RunConfig] = []

    def run(config, *, on_event=None):
        seen.append(config)
        config.output.mkdir()
        return {"score": float(config.seed), "all": 1.0}

    monkeypatch.setattr("crossmodal_jax.pipeline._seeds.run", run)
    return seen


def test_each_seed_has_its_folder(tmp_path, runs):
    config = RunConfig(output=tmp_path / "many")
    found = run_seeds(config, [0, 3])
    assert [(c.seed, c.output) for c in runs] == [
        (0, tmp_path / "many" / "seed-0"),
        (3, tmp_path / "many" / "seed-3"),
    ]
    assert found == [{"score": 0.0, "all": 1.0}, {"score": 3.0, "all": 1.0}]
    written = json.loads((tmp_path / "many" / "metrics.json").read_text())
    assert written == summarize(found)


def test_summary_is_mean_and_sample_deviation():
    values = [0.5, 0.7, 0.9]
    found = summarize([{"a": v, "only here": 1.0} if v == 0.5 else {"a": v} for v in values])
    assert found == pytest.approx({"a": np.mean(values), "a/std": np.std(values, ddof=1)})
    assert summarize([{"a": 2.0}]) == {"a": 2.0}


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_bad_seeds(tmp_path, runs, seeds):
    with pytest.raises(ValueError, match="different numbers"):
        run_seeds(RunConfig(output=tmp_path / "many"), seeds)
    assert not (tmp_path / "many").exists()


def test_existing_folder_is_refused(tmp_path, runs):
    with pytest.raises(FileExistsError, match="exists"):
        run_seeds(RunConfig(output=Path(tmp_path)), [0])
    assert runs == []
