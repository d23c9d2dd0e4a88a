"""What a model loses when modalities are missing at test time."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_choice, check_finite
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.evaluation._retrieval import check_answers, per_query_scores, summarize


def missing_modality_curve(
    encode: Callable[[Bool[np.ndarray, "n m"]], Float[ArrayLike, "n d"]],
    present: Bool[ArrayLike, "n m"],
    gallery: Float[ArrayLike, "g d"],
    *,
    key: Array,
    positives: Bool[ArrayLike, "n g"] | None = None,
    max_dropped: int | None = None,
    similarity: str = "cosine",
    num_resamples: int = 1000,
) -> dict[int, dict[str, float]]:
    """Retrieval scores as a function of how many modalities are dropped, exact over patterns.

    For k dropped modalities all C(m, k) patterns are evaluated, none is sampled. A pattern
    counts for a sample if it takes k modalities that the sample has and leaves it at least
    one. The score of a sample is its mean over the patterns that count, that of k is the mean
    over the samples for which any does, each with the same weight; samples for which none
    does are left out at that k.

    Args:
      encode: Maps presence [n, m] to query embeddings [n, d], row i that of sample i when it
        has those modalities only. It is called once per pattern; jit it.
      present: Modalities that each sample has, shape [n, m].
      gallery: Embeddings that are searched, shape [g, d].
      key: Random key of the bootstrap, the same for every k.
      positives: Right answers, shape [n, g]; None means that the answer of sample i is row i.
      max_dropped: Largest k, at most m − 1, which is the default.
      similarity: `"cosine"` or `"dot"`.
      num_resamples: Resamples of the bootstrap over samples.

    Returns:
      For every k from 0 that has samples, floats by name as of `evaluate_retrieval` without
      the levels of chance, and `num_queries`, the samples that count. Ranks too are means over
      patterns first.

    Raises:
      ValueError: If shapes do not fit, a counted embedding is NaN or infinite, a sample has no
        right answer, or `max_dropped` is out of range.

    Examples:
      >>> import jax, jax.numpy as jnp, numpy as np
      >>> views = jnp.stack([jnp.eye(3), jnp.eye(3)[jnp.array([0, 2, 1])]])
      >>> encode = lambda present: jnp.einsum("nm,mnd->nd", present * jnp.array([2.0, 1.0]), views)
      >>> curve = missing_modality_curve(
      ...   encode, np.ones((3, 2), bool), jnp.eye(3), key=jax.random.key(0))
      >>> {k: round(scores["recall_at_1"], 3) for k, scores in curve.items()}
      {0: 1.0, 1: 0.667}
    """
    check_choice("missing_modality_curve", "similarity", similarity, ("cosine", "dot"))
    present = np.asarray(present)
    if present.ndim != 2 or present.dtype != np.bool_ or 0 in present.shape:
        raise ValueError(
            "missing_modality_curve: `present` must be Bool [n, m], one column per modality, got "
            f"{present.dtype} {present.shape}."
        )
    num_modalities = present.shape[1]
    most = num_modalities - 1 if max_dropped is None else max_dropped
    if not 0 <= most < num_modalities:
        raise ValueError(
            "missing_modality_curve: `max_dropped` must be between 0 and m − 1 = "
            f"{num_modalities - 1}, got {most}; one modality must stay."
        )
    check_finite("missing_modality_curve", gallery=gallery)
    if positives is not None:
        check_answers("missing_modality_curve", positives)

    def score(left: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        queries = np.asarray(encode(left))
        check_finite("missing_modality_curve", encoded=queries[counts])
        scores = per_query_scores(queries, gallery, positives, similarity)
        return {name: np.asarray(values, np.float64) for name, values in scores.items()}

    curve = {}
    for k in range(most + 1):
        totals: dict[str, np.ndarray] = {}
        num_patterns = np.zeros(len(present))
        for left, counts in _patterns(present, k):
            for name, values in score(left, counts).items():
                totals[name] = totals.get(name, 0) + np.where(counts, values, 0)
            num_patterns += counts
        kept = num_patterns > 0
        if kept.any():
            means = {name: total / np.maximum(num_patterns, 1) for name, total in totals.items()}
            curve[k] = summarize(key, means, where=kept, num_resamples=num_resamples)
            curve[k]["num_queries"] = float(kept.sum())
    return curve


def _patterns(present: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields presence after dropping k modalities, and for which samples that counts."""
    for dropped in itertools.combinations(range(present.shape[1]), k):
        left = present.copy()
        left[:, dropped] = False
        counts = np.all(present[:, dropped], axis=1) & np.any(left, axis=1)
        if counts.any():
            yield left, counts
