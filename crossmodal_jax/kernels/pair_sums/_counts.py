"""How many rows of one label there are; with labels, without comparing all with all."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from crossmodal_jax.kernels.pair_sums._by_rows import by_rows
from crossmodal_jax.kernels.pair_sums._sides import Sides, same_label


def count_matches(sides: Sides) -> tuple[Int[Array, "n"], Int[Array, "m"]]:
    """Number of columns that each row matches, and of rows that each column does; 0 if dropped."""
    label_x, label_y = sides.labels
    if label_y.ndim == 2:
        return _count_by_rows(sides)
    rows = _count(label_x, label_y, sides.keep_y)
    columns = _count(label_y, label_x, sides.keep_x)
    if sides.exclude is not None:
        excluded = jnp.clip(sides.exclude, 0)
        both = (sides.exclude >= 0) & sides.keep_x & sides.keep_y[excluded]
        lost = (both & (label_x == label_y[excluded])).astype(int)
        rows, columns = rows - lost, columns.at[excluded].add(-lost)
    return jnp.where(sides.keep_x, rows, 0), jnp.where(sides.keep_y, columns, 0)


def _count_by_rows(sides: Sides) -> tuple[Int[Array, "n"], Int[Array, "m"]]:
    def of_rows(rows: tuple[Any, ...]) -> tuple[Array, Array]:
        label, keep, exclude = rows
        compared = sides._replace(keep_x=keep, exclude=exclude).compared()
        matching = same_label(label, sides.labels[1]) & compared
        return jnp.sum(matching, axis=1), jnp.sum(matching, axis=0)

    rows = sides.labels[0], sides.keep_x, sides.exclude
    return by_rows(of_rows, rows, num_columns=len(sides.keep_y))


def _count(
    labels: Int[Array, "n"], others: Int[Array, "m"], keep: Bool[Array, "m"]
) -> Int[Array, "n"]:
    """How many of the kept others have each label."""
    order = jnp.argsort(others)
    kept_before = jnp.pad(jnp.cumsum(keep[order].astype(int)), (1, 0))
    others = others[order]
    first, last = (jnp.searchsorted(others, labels, side=side) for side in ("left", "right"))
    return kept_before[last] - kept_before[first]
