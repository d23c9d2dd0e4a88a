"""Whole runs: what they leave, interruption and resumption, the same bits in the end."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest

from crossmodal_jax import pipeline
from crossmodal_jax.pipeline import STAGES, Progress, RunConfig, StageFinished, StageStarted

RESULTS = {"metrics.json", "model_card.md", "report.html"}
FILES = {"checkpoints", "config.json", "metrics.jsonl"} | RESULTS

SNAPSHOTS = {("sweep", 2), ("train", 4)}


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A run that was left in peace: configuration, metrics, events, and snapshots.

    A snapshot is a copy of the folder in the midst of the run: what a crash would have left. There
    are two of each: one that a test resumes, one under `crashed` that stays as it was.
    """
    folder = tmp_path_factory.mktemp("runs")
    config = dataclasses.replace(tiny, output=folder / "whole")
    events = []

    def on_event(event):
        events.append(event)
        if isinstance(event, Progress) and (event.stage, event.step) in SNAPSHOTS:
            shutil.copytree(config.output, folder / event.stage)
            shutil.copytree(config.output, folder / "crashed" / event.stage)

    return config, pipeline.run(config, on_event=on_event), events


def _steps(path: Path) -> list[dict]:
    records = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if "step" in record]


def _files(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def test_what_a_run_leaves(finished):
    config, metrics, _ = finished
    assert set(os.listdir(config.output)) == FILES
    assert json.loads((config.output / "metrics.json").read_text()) == metrics
    assert pipeline.from_json((config.output / "config.json").read_text()) == config
    assert sorted(os.listdir(config.output / "checkpoints")) == ["step_000006", "sweep.json"]
    assert "<html" in (config.output / "report.html").read_text()
    assert (config.output / "model_card.md").read_text().startswith("# ")
    assert not [name for name in _files(config.output) if "tmp" in name]


def test_metrics_have_their_names(finished):
    _, metrics, _ = finished
    fused = "sans+serif+mono"
    for source in ("sans", "serif", "mono", fused, f"{fused}|drop1", f"{fused}|drop2"):
        for method in ("cca", "ridge", "learned"):
            for metric in ("recall_at_1", "recall_at_5", "recall_at_10", "median_rank"):
                assert f"test/retrieval/{source}->name/{method}/{metric}" in metrics
    for key in (
        f"test/retrieval/{fused}->name/learned/expected_rank",
        f"test/retrieval/{fused}->name/learned/recall_at_1_low",
        f"test/retrieval/{fused}->name/learned/recall_at_1_lookalike",
        "test/translate/sans->serif/ridge/r2",
        "test/classify/script/learned/accuracy",
    ):
        assert key in metrics
    assert metrics[f"test/retrieval/{fused}->name/cca/chance_recall_at_1"] == pytest.approx(0.05)
    assert all(type(value) is float for value in metrics.values())


def test_look_alikes_can_only_help(finished):
    _, metrics, _ = finished
    for key, value in metrics.items():
        if key.endswith("/recall_at_1_lookalike"):
            assert value >= metrics[key.removesuffix("_lookalike")]


def test_dropping_nothing_is_the_fusion(finished):
    _, metrics, _ = finished
    key = "test/retrieval/sans+serif+mono|drop2->name/learned/recall_at_1"
    singles = [
        metrics[f"test/retrieval/{name}->name/learned/recall_at_1"] for name in pipeline.PICTURES
    ]
    assert metrics[key] == pytest.approx(sum(singles) / 3)


def test_events(finished):
    _, _, events = finished
    started = [event.stage for event in events if isinstance(event, StageStarted)]
    ended = [event.stage for event in events if isinstance(event, StageFinished)]
    assert started == ended == list(STAGES)
    train = [e for e in events if isinstance(e, Progress) and e.stage == "train"]
    assert [(e.step, e.num_steps) for e in train] == [(2, 6), (4, 6), (6, 6)]
    assert all("loss" in e.metrics for e in train)


def test_a_finished_run_is_read(finished):
    config, metrics, _ = finished
    events = []
    again = pipeline.run(dataclasses.replace(config, resume=True), on_event=events.append)
    assert again == metrics
    assert events == []


def test_an_existing_run_is_refused(finished):
    with pytest.raises(FileExistsError, match="exists"):
        pipeline.run(finished[0])


def test_a_crash_leaves_nothing_half_written(finished):
    folder = finished[0].output.parent / "crashed"
    assert _files(folder / "sweep") == {"config.json", "metrics.jsonl"}
    assert set(os.listdir(folder / "train")) == FILES - RESULTS
    assert sorted(os.listdir(folder / "train/checkpoints")) == ["step_000004", "sweep.json"]


def test_a_resumed_run_ends_with_the_same_bits(finished):
    whole, metrics, _ = finished
    config = dataclasses.replace(whole, output=whole.output.parent / "train", resume=True)
    # The crash came after the log was written and before the checkpoint was.
    with open(config.output / "metrics.jsonl", "a") as log:
        log.write('{"stage": "train", "step": 6, "loss": 1e9}\n{"stage": "tr')
    events = []
    assert pipeline.run(config, on_event=events.append) == metrics
    written = (config.output / "metrics.json").read_bytes()
    assert written == (whole.output / "metrics.json").read_bytes()
    assert _steps(config.output) == _steps(whole.output)
    steps = [e.step for e in events if isinstance(e, Progress) and e.stage in ("sweep", "train")]
    assert steps == [6]


def test_an_interrupt_passes_through(tiny, tmp_path):
    config = dataclasses.replace(tiny, output=tmp_path / "run")

    def interrupt(event):
        if isinstance(event, StageFinished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config, on_event=interrupt)
    assert _files(config.output) == {"config.json", "metrics.jsonl"}


def test_quick_run_keeps_its_own_sizes(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "crossmodal_jax.pipeline._run.open_folder", lambda config: seen.append(config) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        pipeline.run(RunConfig(output=tmp_path / "run", quick=True))
    assert seen == [pipeline.effective(RunConfig(output=tmp_path / "run", quick=True))]
