"""The log-sums of rows that are spread over devices, by blocks that travel.

With a block of y its log-sums and the logits of its matches travel. In the backward pass those
log-sums, complete now, and their slopes do, and with them the slope of the block.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from crossmodal_jax.kernels.pair_sums import _log_sums_streamed, _tiles
from crossmodal_jax.kernels.pair_sums._ring import AxisName, around, at_block, block_of
from crossmodal_jax.kernels.pair_sums._sides import Sides, Sums


def log_sums(
    sides: Sides, axis_name: AxisName, *, precision: jnp.dtype, block: int = _tiles.BLOCK
) -> Sums:
    """Inside `shard_map`, of the local rows with those of all devices."""
    rows = _tiles.rows_of_a_slab(sides, block)
    return _log_sums(rows, precision, axis_name, sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _log_sums(block: int, precision: jnp.dtype, axis_name: AxisName, sides: Sides) -> Sums:
    def step(is_home: Array, here: Any, travelling: Any) -> tuple[Any, Any]:
        (rows, row_matches), (block_y, columns, column_matches) = here, travelling
        more = _log_sums_streamed.sums_of(block, precision, at_block(sides, is_home, block_y))
        if sides.labels is None:
            row_matches = jnp.where(is_home, more.row_matches, row_matches)
        else:
            row_matches += more.row_matches
            column_matches += more.column_matches
        columns = jnp.logaddexp(columns, more.columns)
        return (jnp.logaddexp(rows, more.rows), row_matches), (block_y, columns, column_matches)

    zeros, zeros_y = (jnp.zeros_like(k, sides.scale.dtype) for k in (sides.keep_x, sides.keep_y))
    none = None if sides.labels is None else zeros_y
    start = (zeros - jnp.inf, zeros), (block_of(sides, precision), zeros_y - jnp.inf, none)
    (rows, row_matches), (_, columns, column_matches) = around(axis_name, step, *start)
    return _log_sums_streamed.kept(sides, Sums(rows, columns, row_matches, column_matches))


def _forward(
    block: int, precision: jnp.dtype, axis_name: AxisName, sides: Sides
) -> tuple[Sums, Any]:
    sums: Any = _log_sums(block, precision, axis_name, sides)
    return sums, (sides, sums)


def _backward(
    block: int, precision: jnp.dtype, axis_name: AxisName, saved: Any, slopes: Sums
) -> tuple[Sides]:
    sides, sums = saved
    slopes = _log_sums_streamed.kept(sides, slopes)

    def step(is_home: Array, here: Any, travelling: Any) -> tuple[Any, Any]:
        (dx, *numbers), (block_y, of_block, dy) = here, travelling
        at = at_block(sides, is_home, block_y)
        at = at._replace(x=_tiles.wide(at.x), y=_tiles.wide(at.y))
        columns, *asked = of_block
        known = Sums(sums.rows, columns, sums.row_matches)
        own = slopes.row_matches
        own = jnp.where(is_home, own, 0) if sides.labels is None else own
        asked = Sums(slopes.rows, asked[0], own, asked[1])
        found = _log_sums_streamed.slopes_of(block, precision, at, known, asked)
        dx, dy, *numbers = (a + b for a, b in zip((dx, dy, *numbers), found, strict=True))
        return (dx, *numbers), (block_y, of_block, dy)

    zero = jnp.zeros_like(sides.scale)
    here = jnp.zeros_like(_tiles.wide(sides.x)), zero, zero
    of_block = sums.columns, slopes.columns, slopes.column_matches
    travelling = block_of(sides, precision), of_block, jnp.zeros_like(_tiles.wide(sides.y))
    (dx, *numbers), (_, _, dy) = around(axis_name, step, here, travelling)
    found = dx.astype(sides.x.dtype), dy.astype(sides.y.dtype), *numbers
    return (_tiles.slopes_of(sides, found),)


_log_sums.defvjp(_forward, _backward)
