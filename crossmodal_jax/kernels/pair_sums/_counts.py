"""How many rows of one label there are, without comparing all with all."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from crossmodal_jax.kernels.pair_sums._sides import Sides


def count_matches(sides: Sides) -> tuple[Int[Array, "n"], Int[Array, "m"]]:
    """Number of columns that each row matches, and of rows that each column does; 0 if dropped."""
    label_x, label_y = sides.labels
    rows = _count(label_x, label_y, sides.keep_y)
    columns = _count(label_y, label_x, sides.keep_x)
    if sides.exclude is not None:
        excluded = jnp.clip(sides.exclude, 0)
        both = (sides.exclude >= 0) & sides.keep_x & sides.keep_y[excluded]
        lost = (both & (label_x == label_y[excluded])).astype(int)
        rows, columns = rows - lost, columns.at[excluded].add(-lost)
    return jnp.where(sides.keep_x, rows, 0), jnp.where(sides.keep_y, columns, 0)


def _count(
    labels: Int[Array, "n"], others: Int[Array, "m"], keep: Bool[Array, "m"]
) -> Int[Array, "n"]:
    """How many of the kept others have each label."""
    order = jnp.argsort(others)
    kept_before = jnp.pad(jnp.cumsum(keep[order].astype(int)), (1, 0))
    others = others[order]
    first, last = (jnp.searchsorted(others, labels, side=side) for side in ("left", "right"))
    return kept_before[last] - kept_before[first]
