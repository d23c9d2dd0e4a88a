"""The counts in slabs of queries: the score matrix never exists as a whole."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import PyTree
from crossmodal_jax.kernels.pair_sums import by_rows
from crossmodal_jax.kernels.ranks import _xla


def rank_counts(
    queries: Float[Array, "q d"],
    gallery: Float[Array, "g d"],
    positives: Bool[Array, "q g"] | None,
    where: Bool[Array, "g"],
) -> _xla.RankCounts:
    """Counts in the memory of a slab of scores instead of that of all."""
    index = jnp.arange(gallery.shape[0])

    def of_rows(rows: PyTree) -> tuple[_xla.RankCounts, None]:
        queries, matches = rows
        if positives is None:
            matches = index == matches[:, None]
        return _xla.rank_counts(queries, gallery, matches, where), None

    matches = index[: queries.shape[0]] if positives is None else positives
    return by_rows(of_rows, (queries, matches), num_columns=gallery.shape[0])[0]
