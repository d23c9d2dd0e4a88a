"""The whole story as one call; its state is a folder, so that it may end and go on at any time."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from crossmodal_jax import training
from crossmodal_jax.pipeline._closed_form import (
    METHODS,
    ClosedForm,
    fit_closed_form,
    fit_translation,
)
from crossmodal_jax.pipeline._config import RunConfig, effective
from crossmodal_jax.pipeline._evaluate import TRANSLATION, evaluate
from crossmodal_jax.pipeline._events import Event, OnEvent, Progress, StageFinished, StageStarted
from crossmodal_jax.pipeline._extract import Features, extract
from crossmodal_jax.pipeline._folder import RunFolder, open_folder
from crossmodal_jax.pipeline._learned import Learned, Trial, learning_rate, train, tune
from crossmodal_jax.pipeline._prepare import PICTURES, Prepared, prepare
from crossmodal_jax.pipeline._report import report_data


def run(config: RunConfig, *, on_event: OnEvent | None = None) -> dict[str, float]:
    """Prepares, extracts features, fits, searches, trains, evaluates, reports.

    The folder `config.output` is the only state: `config.json`, `metrics.jsonl` with a line for
    each dispatch, `checkpoints/`, and at the end `metrics.json`, `report.html` and
    `model_card.md`. A run that was interrupted at any moment and is resumed ends with the same
    metrics, bit by bit; it loses at most one dispatch of training.

    Args:
      config: Every choice (no arrays, no shapes).
      on_event: Told of stages and progress.

    Returns:
      The flat metrics, as in `metrics.json`.

    Raises:
      FileExistsError: If the folder exists and is neither resumed nor overwritten.
      ValueError: If the run to be resumed has another configuration.
      OSError: If something cannot be written; the message names the path.

    Examples:
      >>> import pathlib, tempfile
      >>> from crossmodal_jax.pipeline import RunConfig, run
      >>> with tempfile.TemporaryDirectory() as taken:  # nothing is ever overwritten unasked
      ...     run(RunConfig(output=pathlib.Path(taken)))  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      FileExistsError: ...
    """
    config = effective(config)
    folder = open_folder(config)
    finished = folder.results()
    if finished is not None:
        return finished
    return _Run(config, folder, on_event).story()


def _ignore(event: Event) -> None:
    del event  # nobody watches


class _Run:
    """One run: its stages in order, each timed and announced."""

    def __init__(self, config: RunConfig, folder: RunFolder, on_event: OnEvent | None):
        self.config = config
        self.folder = folder
        self.on_event = on_event or _ignore
        self.seconds: dict[str, float] = {}

    def story(self) -> dict[str, float]:
        config = self.config
        with self.stage("prepare") as note:
            prepared = prepare(config.prepare, seed=config.seed)
            note(f"{len(prepared.dataset)} samples")
        with self.stage("extract") as note:
            _, features = extract(config.features, prepared)
            note(", ".join(f"{name} {x.shape[1]}" for name, x in features.arrays.items()))
        with self.stage("closed_form") as note:
            closed_forms = self.closed_forms(prepared, features)
            source, target = TRANSLATION
            translation, _ = fit_translation(
                config.closed_form, prepared, features, source=source, target=target
            )
            best = max(closed_forms, key=lambda model: model.validation)
            note(f"validation R@1 {best.validation:.3f} by {best.method}")
        with self.stage("sweep") as note:
            trial = self.trial(prepared, features)
            note(", ".join(f"{name} {value:g}" for name, value in trial.best.items()))
        with self.stage("train") as note:
            learned = self.learned(prepared, features, trial)
            note(f"loss {self.folder.records('train')[-1]['loss']:.3f}")
        with self.stage("evaluate") as note:
            found = evaluate(
                config.evaluate,
                prepared,
                features,
                closed_forms=closed_forms,
                learned=learned,
                translation=translation,
                seed=config.seed,
            )
            key = f"test/retrieval/{'+'.join(PICTURES)}->name/learned/recall_at_1"
            note(f"test R@1 {found.metrics[key]:.3f}")
        with self.stage("report"):
            data = report_data(
                config,
                prepared,
                features,
                learned=learned,
                translation=translation,
                trial=trial,
                found=found,
                history=self.folder.records("train"),
                facts=prepared.facts | self.timings(),
            )
            self.folder.write_results(found.metrics, data)
        return found.metrics

    @contextmanager
    def stage(self, name: str) -> Iterator[Any]:
        notes: list[str] = []
        self.on_event(StageStarted(name))
        start = time.perf_counter()
        yield notes.append
        self.seconds[name] = time.perf_counter() - start
        self.folder.append({"stage": name, "seconds": round(self.seconds[name], 3)})
        self.on_event(StageFinished(name, self.seconds[name], " ".join(notes)))

    def timings(self) -> dict[str, float]:
        return {f"seconds to {name}": round(value, 1) for name, value in self.seconds.items()}

    def closed_forms(self, prepared: Prepared, features: Features) -> list[ClosedForm]:
        wanted = [(m, s) for m in METHODS for s in (*((p,) for p in PICTURES), PICTURES)]
        models = []
        for method, sources in wanted:
            models.append(
                fit_closed_form(
                    self.config.closed_form, prepared, features, method=method, sources=sources
                )
            )
            self.on_event(Progress("closed_form", len(models), len(wanted)))
        return models

    def trial(self, prepared: Prepared, features: Features) -> Trial:
        rows = self.folder.trial()
        if rows is not None:
            return Trial(tuple(rows))
        self.folder.forget("sweep", after=0)
        search = self.config.sweep

        def on_dispatch(step: int, found: dict[str, float]) -> None:
            self.folder.append({"stage": "sweep", "step": step, **found})
            self.on_event(Progress("sweep", step, search.num_steps, found))

        trial = tune(
            self.config.learned,
            search,
            prepared,
            features,
            seed=self.config.seed,
            on_dispatch=on_dispatch,
        )
        self.folder.write_trial(list(trial.rows))
        return trial

    def learned(self, prepared: Prepared, features: Features, trial: Trial) -> Learned:
        config = self.config.learned

        def resume(state: training.TrainState) -> training.TrainState:
            checkpoint = training.latest_checkpoint(self.folder.checkpoints)
            if checkpoint is not None:
                state = training.restore_checkpoint(checkpoint, state)
            self.folder.forget("train", after=int(state.step))
            return state

        def on_dispatch(state: training.TrainState, found: dict[str, Any]) -> None:
            step = int(state.step)
            rate = learning_rate(trial.best["learning_rate"], step - 1, config.num_steps)
            record = {
                "loss": float(np.mean(found["loss"])),
                "learning_rate": float(rate),
                "logit_scale": float(found["logit_scale"][-1]),
                "skipped": int(state.skipped),
            }
            # The log first: what it holds beyond the last checkpoint is dropped on resume.
            self.folder.append({"stage": "train", "step": step, **record})
            self.save(state)
            self.on_event(Progress("train", step, config.num_steps, {"loss": record["loss"]}))

        return train(
            config,
            trial.best,
            prepared,
            features,
            seed=self.config.seed,
            resume=resume,
            on_dispatch=on_dispatch,
        )

    def save(self, state: training.TrainState) -> None:
        """Writes a checkpoint, then removes the one before it."""
        folder = self.folder.checkpoints
        before = training.latest_checkpoint(folder)
        name = f"step_{int(state.step):06d}"
        training.save_checkpoint(folder / name, state, metadata={"seed": self.config.seed})
        if before is not None and before.name != name:
            shutil.rmtree(before)
