"""The definition of the counts: all scores at once."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax.numerics import dot_scores


class RankCounts(NamedTuple):
    """Where the best positive of each query stands: all that a retrieval metric needs.

    Attributes:
      above: Negatives that score above the best positive, shape [q].
      tied: Negatives that score exactly as it does, shape [q].
      positives: Positives that score exactly as it does, itself included, shape [q]; 0 where
        a query has no positive.
    """

    above: Int[Array, "q"]
    tied: Int[Array, "q"]
    positives: Int[Array, "q"]


def rank_counts(
    queries: Float[Array, "q d"],
    gallery: Float[Array, "g d"],
    positives: Bool[Array, "q g"] | None,
    where: Bool[Array, "g"],
) -> RankCounts:
    """Counts over the whole score matrix [q, g]."""
    scores = _scores(queries, gallery)
    if positives is None:
        positives = jnp.eye(*scores.shape, dtype=bool)
    positive, negative = positives & where, ~positives & where
    # Every comparison with NaN is false: a NaN negative is neither above nor tied.
    valid = positive & ~jnp.isnan(scores)
    found = jnp.any(valid, axis=1)
    best = jnp.max(jnp.where(valid, scores, -jnp.inf), axis=1, initial=-jnp.inf)[:, None]
    return RankCounts(
        above=jnp.where(found, _count(negative & (scores > best)), _count(negative)),
        tied=jnp.where(found, _count(negative & (scores == best)), 0),
        positives=jnp.where(found, _count(valid & (scores == best)), _count(positive)),
    )


def _scores(queries: Array, gallery: Array) -> Array:
    if queries.shape[0] == 1:
        # A matrix-vector product may sum its last columns in another order than the first, so
        # that equal rows of the gallery would not tie; a product with two rows does not.
        return _scores(jnp.concatenate([queries, queries]), gallery)[:1]
    return dot_scores(queries, gallery, precision="highest")


def _count(mask: Array) -> Array:
    return jnp.sum(mask, axis=1, dtype=jnp.int32)
