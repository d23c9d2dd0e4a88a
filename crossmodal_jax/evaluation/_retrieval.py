"""Retrieval of the right gallery rows by queries."""

import functools
from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_choice, check_finite
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels import rank_counts
from crossmodal_jax.metrics import (
    bootstrap_interval,
    expected_rank,
    recall_at_k,
    reciprocal_rank,
)
from crossmodal_jax.numerics import masked_mean, normalize

RECALLS = (1, 5, 10)


def evaluate_retrieval(
    queries: Float[ArrayLike, "q d"],
    gallery: Float[ArrayLike, "g d"],
    *,
    key: Array,
    positives: Bool[ArrayLike, "q g"] | None = None,
    similarity: str = "cosine",
    num_resamples: int = 1000,
) -> dict[str, float]:
    """How well queries find their right answers, with an interval and the level of chance.

    Equal scores count by expectation over their random order, so a model that gives all
    candidates one score gets exactly chance.

    Args:
      queries: Query embeddings, shape [q, d].
      gallery: Embeddings that are searched, shape [g, d].
      key: Random key of the bootstrap.
      positives: True where gallery row j is a right answer of query i, shape [q, g]; None
        means that the answer of query i is row i.
      similarity: `"cosine"` or `"dot"`.
      num_resamples: Resamples of the bootstrap over queries.

    Returns:
      Floats by name: `recall_at_1`, `recall_at_5`, `recall_at_10` (probability that a right
      answer is among the first k, mean over queries), `median_rank` and `expected_rank`
      (median and mean over queries of the expected rank of the first right answer),
      `mean_reciprocal_rank`, `recall_at_1_low` and `recall_at_1_high` (95 % bootstrap
      interval), and `chance_recall_at_1`, `chance_recall_at_5`, `chance_recall_at_10`,
      `chance_expected_rank` (what a random order gets).

    Raises:
      ValueError: If shapes do not fit, a number is NaN or infinite, a query has no right
        answer, or `similarity` is unknown.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> queries, gallery = jnp.eye(4), jnp.eye(4)[jnp.array([0, 1, 3, 2])]
      >>> scores = evaluate_retrieval(queries, gallery, key=jax.random.key(0))
      >>> scores["recall_at_1"], scores["chance_recall_at_1"]
      (0.5, 0.25)
    """
    check_choice("evaluate_retrieval", "similarity", similarity, ("cosine", "dot"))
    check_finite("evaluate_retrieval", queries=queries, gallery=gallery)
    if positives is not None:
        check_answers("evaluate_retrieval", positives)
    scores = per_query_scores(queries, gallery, positives, similarity)
    # Embeddings that are all the same: the definition of chance.
    ones = np.ones((len(queries), 1), np.float32), np.ones((len(gallery), 1), np.float32)
    chance = per_query_scores(*ones, positives, similarity)
    result = summarize(key, scores, num_resamples=num_resamples)
    result |= {f"chance_recall_at_{k}": _mean(chance[f"recall_at_{k}"]) for k in RECALLS}
    result["chance_expected_rank"] = _mean(chance["expected_rank"])
    return result


def check_answers(name: str, positives: Bool[ArrayLike, "q g"]) -> None:
    """Raises if some query has no right answer."""
    lost = np.flatnonzero(~np.asarray(positives).any(axis=1))
    if lost.size:
        raise ValueError(
            f"{name}: every query needs a right answer in `positives`, got {lost.size} of "
            f"{len(positives)} queries without (first: {lost[:5].tolist()}); leave them out."
        )


@functools.partial(jax.jit, static_argnums=3)
def per_query_scores(
    queries: Float[ArrayLike, "q d"],
    gallery: Float[ArrayLike, "g d"],
    positives: Bool[ArrayLike, "q g"] | None,
    similarity: str,
) -> dict[str, Float[Array, "q"]]:
    """Scores of every query, by name; jitted, since evaluations repeat in few shapes."""
    if similarity == "cosine":
        queries, gallery = normalize(queries), normalize(gallery)
    counts = rank_counts(queries, gallery, positives=positives)
    scores = {f"recall_at_{k}": recall_at_k(counts, k) for k in RECALLS}
    return scores | {
        "expected_rank": expected_rank(counts),
        "reciprocal_rank": reciprocal_rank(counts),
    }


def summarize(
    key: Array,
    scores: Mapping[str, Float[ArrayLike, "q"]],
    *,
    where: Bool[ArrayLike, "q"] | None = None,
    num_resamples: int = 1000,
) -> dict[str, float]:
    """Means over the kept queries, the median rank, and the interval of recall at 1."""
    kept = np.ones(len(scores["expected_rank"]), bool) if where is None else np.asarray(where)
    rows = {name: np.asarray(values)[kept] for name, values in scores.items()}
    low, high = _interval(key, scores["recall_at_1"], kept, num_resamples)
    return {
        **{f"recall_at_{k}": _mean(rows[f"recall_at_{k}"]) for k in RECALLS},
        "median_rank": float(np.median(rows["expected_rank"])),
        "expected_rank": _mean(rows["expected_rank"]),
        "mean_reciprocal_rank": _mean(rows["reciprocal_rank"]),
        "recall_at_1_low": float(low),
        "recall_at_1_high": float(high),
    }


@functools.partial(jax.jit, static_argnums=3)
def _interval(key: Array, values: Array, where: Array, num_resamples: int) -> tuple[Array, Array]:
    return bootstrap_interval(
        key, values, where=where, statistic=masked_mean, num_resamples=num_resamples
    )


def _mean(values: ArrayLike) -> float:
    return float(np.mean(np.asarray(values, np.float64)))
