"""The counts in slabs of queries: the score matrix never exists as a whole."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax.kernels.ranks import _xla

_BLOCK = 256


def rank_counts(
    queries: Float[Array, "q d"],
    gallery: Float[Array, "g d"],
    positives: Bool[Array, "q g"] | None,
    where: Bool[Array, "g"],
    *,
    block: int = _BLOCK,
) -> _xla.RankCounts:
    """Counts in slabs of `block` queries, in O(block · g) memory instead of O(q · g)."""
    num_queries = queries.shape[0]
    if num_queries <= block:
        return _xla.rank_counts(queries, gallery, positives, where)
    num_slabs = -(-num_queries // block)

    def slab(start: Array) -> _xla.RankCounts:
        rows = jax.lax.dynamic_slice_in_dim(queries, start, block)
        if positives is None:
            matches = jnp.arange(gallery.shape[0]) == (start + jnp.arange(block))[:, None]
        else:
            matches = jax.lax.dynamic_slice_in_dim(positives, start, block)
        return _xla.rank_counts(rows, gallery, matches, where)

    # The last slab ends with the last query and so overlaps the one before it.
    starts = jnp.minimum(jnp.arange(num_slabs) * block, num_queries - block)
    overlap = num_slabs * block - num_queries
    return jax.tree.map(
        lambda x: jnp.concatenate([x[:-1].reshape(-1), x[-1, overlap:]]),
        jax.lax.map(slab, starts),
    )
