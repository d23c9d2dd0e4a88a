"""Gathers what the report shows of a run."""

import json
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from crossmodal_jax import reporting, transforms
from crossmodal_jax.pipeline._closed_form import predict_picture
from crossmodal_jax.pipeline._config import RunConfig, to_json
from crossmodal_jax.pipeline._evaluate import TRANSLATION, Evaluation
from crossmodal_jax.pipeline._extract import Features
from crossmodal_jax.pipeline._learned import Learned, Trial
from crossmodal_jax.pipeline._prepare import PICTURES, Prepared

_NUM_BEST = 5
_NUM_SIMILAR = 24


def report_data(
    config: RunConfig,
    prepared: Prepared,
    features: Features,
    *,
    learned: Learned,
    translation: transforms.Ridge,
    trial: Trial,
    found: Evaluation,
    history: Sequence[dict[str, Any]],
    facts: dict[str, Any],
) -> reporting.ReportData:
    """Everything that the report of a run shows.

    Args:
      config: The configuration of the run (no arrays, no shapes).
      prepared: Samples and split.
      features: Feature vectors of all samples.
      learned: The trained model, whose fused space is shown.
      translation: Ridge regression from Sans to the pixels of Serif.
      trial: What the sweep found.
      found: What the evaluation found.
      history: Records of the training.
      facts: Counts and times.

    Returns:
      The data of the report.
    """
    test = prepared.split["test"]
    rng = np.random.default_rng(config.seed)
    queries = learned.encode_sources(features.pictures(test), features.present[test])
    scores = np.asarray(queries @ learned.encode_target(features.arrays["name"][test]).T)
    shown = _draw(rng, len(test), config.evaluate.num_queries_shown)
    similar = _draw(rng, len(test), _NUM_SIMILAR)
    names = prepared.dataset.modalities["name"][test].tolist()
    weights = np.asarray(learned.fusion_weights(features.pictures(test), features.present[test]))
    quick = "quick run, scores mean little: " if config.quick else ""
    return reporting.ReportData(
        title=f"{quick}{config.prepare.dataset}, seed {config.seed}",
        metrics=found.metrics,
        config=json.loads(to_json(config)),
        facts=facts,
        history=[{k: v for k, v in record.items() if k != "stage"} for record in history],
        sweep=trial.rows,
        query_modalities=PICTURES,
        query_pictures=_pictures(prepared, test[shown]),
        query_present=prepared.present[test[shown]],
        query_names=[names[i] for i in shown],
        query_best=[_best(scores[i], names, i) for i in shown.tolist()],
        similarity=scores[np.ix_(similar, similar)],
        similarity_names=[names[i] for i in similar],
        embedding=_plane(queries),
        embedding_labels=_labels(prepared, "script", test),
        fusion_weights={name: weights[:, m] for m, name in enumerate(PICTURES)},
        missing_curves=found.curves,
        translation=_translated(config, prepared, features, translation, rng),
    )


def _draw(rng: np.random.Generator, size: int, count: int) -> Int[np.ndarray, "k"]:
    return np.sort(rng.permutation(size)[:count])


def _pictures(prepared: Prepared, rows: Int[np.ndarray, "q"]) -> Float[np.ndarray, "q m h w"]:
    return np.stack([prepared.dataset.modalities[name][rows] for name in PICTURES], axis=1)


def _best(
    scores: Float[np.ndarray, "g"], names: list[str], right: int
) -> list[tuple[str, float, bool]]:
    order = np.argsort(-scores, kind="stable")[:_NUM_BEST]
    return [(names[j], float(scores[j]), bool(j == right)) for j in order]


def _plane(z: Float[Array, "n d"]) -> Float[np.ndarray, "n 2"]:
    """The two directions in which the fused representation varies most."""
    plane = transforms.pca(dim=2)
    return np.asarray(plane.apply(plane.fit(z), z))


def _labels(prepared: Prepared, task: str, rows: Int[np.ndarray, "k"]) -> list[str]:
    names = prepared.dataset.label_names[task]
    return [names[label] for label in prepared.dataset.labels[task][rows]]


def _translated(
    config: RunConfig,
    prepared: Prepared,
    features: Features,
    params: transforms.Ridge,
    rng: np.random.Generator,
) -> dict[str, Any]:
    test = prepared.split["test"]
    rows = test[_draw(rng, len(test), config.evaluate.num_pictures_shown)]
    source, target = (prepared.dataset.modalities[name][rows] for name in TRANSLATION)
    predicted = predict_picture(params, features.arrays[TRANSLATION[0]][jnp.asarray(rows)])
    return {
        "source": source,
        "target": target,
        "ridge": np.asarray(predicted).reshape(target.shape),
        "names": prepared.dataset.modalities["name"][rows].tolist(),
    }
