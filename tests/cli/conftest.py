"""A run that takes no time: it sends the events of a real one and leaves a few metrics."""

import pytest

from crossmodal_jax import pipeline
from crossmodal_jax.pipeline import STAGES, Progress, StageFinished, StageStarted

KEY = "test/retrieval/{}->name/{}/{}".format


def send(on_event):
    """Sends what a run sends."""
    for stage in STAGES:
        on_event(StageStarted(stage))
        if stage == "train":
            for step in (50, 100):
                on_event(Progress(stage, step, 100, {"loss": 1.5, "recall_at_1": 0.25}))
        on_event(StageFinished(stage, 1.25, f"[b]{stage}[/b] went well"))


def metrics(seed):
    """What a run returns."""
    values = {"sans": 0.5, "serif": 0.45, "sans+serif": 0.6, "sans+serif|drop1": 0.55}
    flat = {}
    for method, gain in (("cca", 0.0), ("learned", 0.1)):
        for source, value in values.items():
            value += gain + 0.01 * seed
            flat[KEY(source, method, "recall_at_1")] = value
            flat[KEY(source, method, "recall_at_1_low")] = value - 0.04
            flat[KEY(source, method, "recall_at_1_high")] = value + 0.04
            flat[KEY(source, method, "median_rank")] = 1.0
            flat[KEY(source, method, "chance_recall_at_1")] = 0.002
    return flat


class Stub:
    """Stands for `pipeline.run`; remembers how it was called, and fails when told to."""

    def __init__(self):
        self.configs = []
        self.failure = None
        self.action = lambda: None

    def run(self, config, *, on_event=None):
        self.configs.append(config)
        send(on_event)
        self.action()
        if self.failure is not None:
            raise self.failure
        config.output.mkdir(parents=True, exist_ok=True)
        for name in ("report.html", "model_card.md", "metrics.json"):
            (config.output / name).write_text(name)
        return metrics(config.seed)


@pytest.fixture
def play():
    """Sends the events of a run to a function."""
    return send


@pytest.fixture
def stub(monkeypatch):
    """Replaces the run by one that takes no time."""
    stub = Stub()
    # Not `setattr`: it would look the name up first, which loads the real run.
    monkeypatch.setitem(vars(pipeline), "run", stub.run)
    return stub
