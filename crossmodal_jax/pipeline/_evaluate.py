"""The one look at the test characters: retrieval, missing pictures, classification, translation."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import evaluation, transforms
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.pipeline._closed_form import ClosedForm, predict_picture
from crossmodal_jax.pipeline._config import EvaluateConfig
from crossmodal_jax.pipeline._extract import Features
from crossmodal_jax.pipeline._learned import Learned
from crossmodal_jax.pipeline._prepare import PICTURES, Prepared

FUSED = "+".join(PICTURES)
TRANSLATION = ("sans", "serif")

Curve = dict[int, tuple[float, float, float]]
Encoder = ClosedForm | Learned  # both embed pictures and names in one space


class Evaluation(NamedTuple):
    """What was found on the test characters.

    Attributes:
      metrics: Flat metrics, `"test/<task>/<from>-><to>/<method>/<metric>": value`.
      curves: Of every method, recall at 1 of the fusion by the number of pictures dropped, with
        its interval.
    """

    metrics: dict[str, float]
    curves: dict[str, Curve]


def evaluate(
    config: EvaluateConfig,
    prepared: Prepared,
    features: Features,
    *,
    closed_forms: Sequence[ClosedForm],
    learned: Learned,
    translation: transforms.Ridge,
    seed: int,
) -> Evaluation:
    """Scores finished models on the test characters; nothing is chosen here.

    Retrieval counts a character's own name as right and no other. `recall_at_1_lookalike` also
    accepts the name of a character that has the same picture in some font.

    Args:
      config: How much to resample (no arrays, no shapes).
      prepared: Samples and split.
      features: Feature vectors of all samples.
      closed_forms: Fitted closed-form models, each with the pictures that it fuses.
      learned: The trained model, evaluated on each single picture and on their fusion.
      translation: Ridge regression from Sans to the pixels of Serif.
      seed: Seed of the bootstrap.

    Returns:
      Metrics, and the curves of missing pictures.
    """
    scorer = _Scorer(config, prepared, features, jax.random.key(seed))
    found: dict[str, float] = {}
    curves: dict[str, Curve] = {}
    models: list[tuple[str, tuple[str, ...], Encoder]] = [
        *((model.method, model.sources, model) for model in closed_forms),
        *(("learned", sources, learned) for sources in (*((p,) for p in PICTURES), PICTURES)),
    ]
    for method, sources, model in models:
        prefix = f"test/retrieval/{'+'.join(sources)}->name/{method}"
        found |= _named(prefix, scorer.retrieval(model, sources))
        if sources == PICTURES:
            curve = scorer.missing(model)
            curves[method] = {k: _interval(scores) for k, scores in curve.items()}
            for k, scores in curve.items():
                if k > 0:
                    found |= _named(f"test/retrieval/{FUSED}|drop{k}->name/{method}", scores)
            found |= _named(f"test/classify/script/{method}", scorer.script(model))
    for name in ("outline", "properties"):
        found |= _named(f"test/classify/script/{name}", scorer.probe(features.arrays[name]))
    found |= _translation_scores(scorer, translation)
    return Evaluation(found, curves)


def only(sources: Sequence[str], present: Bool[Array, "n m"]) -> Bool[Array, "n m"]:
    """Presence after all pictures but `sources` are taken away."""
    return present & jnp.array([name in sources for name in PICTURES])


class _Scorer:
    """The test characters, and how every kind of score is computed on them."""

    def __init__(self, config: EvaluateConfig, prepared: Prepared, features: Features, key: Array):
        self.rows = prepared.split["test"]
        self.prepared = prepared
        self.features = features
        self.key = key
        self.num_resamples = config.num_resamples
        self.xs = features.pictures(self.rows)
        self.present = features.present[self.rows]
        self.names = features.arrays["name"][self.rows]
        groups = prepared.groups[self.rows]
        self.lookalikes = groups[:, None] == groups[None, :]

    def retrieval(self, model: Encoder, sources: Sequence[str]) -> dict[str, float]:
        queries = model.encode_sources(self.xs, only(sources, self.present))
        gallery = model.encode_target(self.names)
        options = {"key": self.key, "num_resamples": self.num_resamples}
        scores = evaluation.evaluate_retrieval(queries, gallery, **options)
        lenient = evaluation.evaluate_retrieval(
            queries, gallery, positives=self.lookalikes, **options
        )
        return scores | {"recall_at_1_lookalike": lenient["recall_at_1"]}

    def missing(self, model: Encoder) -> dict[int, dict[str, float]]:
        def encode(present: Bool[np.ndarray, "n m"]) -> Array:
            return model.encode_sources(self.xs, jnp.asarray(present))

        return evaluation.missing_modality_curve(
            encode,
            np.asarray(self.present),
            model.encode_target(self.names),
            key=self.key,
            num_resamples=self.num_resamples,
        )

    def script(self, model: Encoder) -> dict[str, float]:
        return self.probe(model.encode_sources(self.features.pictures(), self.features.present))

    def probe(self, z: Float[Array, "n d"]) -> dict[str, float]:
        labels = self.prepared.dataset.labels["script"]
        train = np.flatnonzero(self.prepared.rows("train", "validation"))
        return evaluation.linear_probe(
            z[train],
            labels[train],
            z[self.rows],
            labels[self.rows],
            num_classes=len(self.prepared.dataset.label_names["script"]),
            key=self.key,
            num_resamples=self.num_resamples,
        )

    def translation(self, predictions: Float[ArrayLike, "n p"], target: str) -> dict[str, float]:
        pictures = self.prepared.dataset.modalities[target][self.rows]
        return evaluation.evaluate_translation(
            np.asarray(predictions),
            pictures.reshape(len(pictures), -1),
            key=self.key,
            num_resamples=self.num_resamples,
        )


def _translation_scores(scorer: _Scorer, params: transforms.Ridge) -> dict[str, float]:
    source, target = TRANSLATION
    predicted = predict_picture(params, scorer.features.arrays[source][scorer.rows])
    # What one gets for nothing: the source picture as it is.
    copied = scorer.prepared.dataset.modalities[source][scorer.rows].reshape(predicted.shape)
    prefix = f"test/translate/{source}->{target}"
    return _named(f"{prefix}/ridge", scorer.translation(predicted, target)) | _named(
        f"{prefix}/copy", scorer.translation(copied, target)
    )


def _named(prefix: str, scores: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": float(value) for name, value in scores.items()}


def _interval(scores: dict[str, float]) -> tuple[float, float, float]:
    return scores["recall_at_1"], scores["recall_at_1_low"], scores["recall_at_1_high"]
