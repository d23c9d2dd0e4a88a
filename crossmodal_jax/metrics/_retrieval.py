"""Retrieval scores of each query, in expectation over a random order of equal scores.

All take the counts of `kernels.rank_counts`: a negatives above the best positive, t negatives
and p positives tied with it. The first positive then stands at rank a + 1 + J, where J, the
number of tied negatives drawn before it, has P(J ≥ j) = Π_{i<j} (t − i) / (t + p − i). A
model that gives everything one score therefore scores exactly chance.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels import RankCounts


def expected_rank(
    counts: RankCounts, *, where: Bool[ArrayLike, "q"] | None = None
) -> Float[Array, "q"]:
    """Expected rank of the first positive, a + 1 + t / (p + 1); rank 1 is best.

    A query without a positive gets the rank after all negatives.

    Args:
      counts: Counts of each query, shapes [q].
      where: Queries to keep, shape [q].

    Returns:
      Expected ranks, shape [q]; 0 where dropped.

    Raises:
      ValueError: If `where` does not have shape [q].

    Examples:
      >>> import jax.numpy as jnp
      >>> from crossmodal_jax.kernels import rank_counts
      >>> print(expected_rank(rank_counts(jnp.ones((3, 2)), jnp.ones((3, 2)))))
      [2. 2. 2.]
    """
    keep = check_where("expected_rank", where, counts.above.shape)
    above, tied, positives = _as_floats(counts)
    return jnp.where(keep, above + 1 + tied / (positives + 1), 0)


def recall_at_k(
    counts: RankCounts, k: int, *, where: Bool[ArrayLike, "q"] | None = None
) -> Float[Array, "q"]:
    """Probability that some positive is among the first k: P(J < k − a).

    With r = k − a places left this is the hypergeometric 1 − C(t, r) / C(t + p, r), summed
    here over the rank of the first positive, so that small probabilities keep their digits.

    Args:
      counts: Counts of each query, shapes [q].
      k: Length of the list that is looked at, k ≥ 1.
      where: Queries to keep, shape [q].

    Returns:
      Probabilities, shape [q]; 0 where dropped and for a query without a positive.

    Raises:
      ValueError: If k < 1 or `where` does not have shape [q].

    Examples:
      >>> import jax.numpy as jnp
      >>> from crossmodal_jax.kernels import rank_counts
      >>> print(recall_at_k(rank_counts(jnp.ones((4, 2)), jnp.ones((4, 2))), 1))
      [0.25 0.25 0.25 0.25]
    """
    if k < 1:
        raise ValueError(f"recall_at_k: `k` must be at least 1, got {k}; k=1 asks for the best.")
    keep = check_where("recall_at_k", where, counts.above.shape)

    def count_if_within(recall: Array, rank: Array, probability: Array) -> Array:
        return recall + jnp.where(rank <= k, probability, 0)

    # No rank beyond k counts, so no more than k of them are visited.
    recall = _fold_over_ranks(counts, count_if_within, limit=k)
    return jnp.where(keep, jnp.minimum(recall, 1), 0)


def reciprocal_rank(
    counts: RankCounts, *, where: Bool[ArrayLike, "q"] | None = None
) -> Float[Array, "q"]:
    """Expected reciprocal rank of the first positive, E[1 / (a + 1 + J)].

    Its mean over the queries is the mean reciprocal rank (MRR). Not 1 / expected rank.

    Args:
      counts: Counts of each query, shapes [q].
      where: Queries to keep, shape [q].

    Returns:
      Expected reciprocal ranks, shape [q]; 0 where dropped and for a query without a positive.

    Raises:
      ValueError: If `where` does not have shape [q].

    Examples:
      >>> import jax.numpy as jnp
      >>> from crossmodal_jax.kernels import rank_counts
      >>> print(reciprocal_rank(rank_counts(jnp.ones((2, 2)), jnp.ones((2, 2)))))
      [0.75 0.75]
    """
    keep = check_where("reciprocal_rank", where, counts.above.shape)

    def add_reciprocal(total: Array, rank: Array, probability: Array) -> Array:
        return total + probability / rank

    return jnp.where(keep, _fold_over_ranks(counts, add_reciprocal, limit=None), 0)


def _fold_over_ranks(counts: RankCounts, function, *, limit: int | None) -> Array:
    """Folds `function(total, rank, probability)` over the possible ranks of the first positive."""
    above, tied, positives = _as_floats(counts)
    steps = jnp.max(counts.tied, initial=0) + 1
    if limit is not None:
        steps = jnp.minimum(steps, limit)

    def body(step: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        total, beyond = state  # beyond = P(J ≥ step)
        drawn = step.astype(above.dtype)
        # With nothing left to draw, `beyond` is 0 already, or there is no positive.
        left = jnp.maximum(tied + positives - drawn, 1)
        total = function(total, above + 1 + drawn, beyond * positives / left)
        return total, beyond * jnp.maximum(tied - drawn, 0) / left

    start = (jnp.zeros_like(above), jnp.ones_like(above))
    return jax.lax.fori_loop(0, steps, body, start)[0]


def _as_floats(counts: RankCounts) -> tuple[Array, Array, Array]:
    dtype = jnp.result_type(float)
    return counts.above.astype(dtype), counts.tied.astype(dtype), counts.positives.astype(dtype)
