"""The softplus sums of rows that are spread over devices, by blocks that travel.

As on one device the slopes of a mean are known while its value is computed: the slope of a block
of y travels with it in the forward pass already, and only uneven cotangents take another round.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from crossmodal_jax.kernels.pair_sums import _softplus_sums_streamed, _tiles
from crossmodal_jax.kernels.pair_sums._ring import AxisName, around, at_block, block_of
from crossmodal_jax.kernels.pair_sums._sides import Sides, SoftplusSums


def softplus_sums(
    sides: Sides, axis_name: AxisName, *, precision: jnp.dtype, block: int = _tiles.BLOCK
) -> SoftplusSums:
    """Inside `shard_map`, of the local rows with those of all devices."""
    rows = _tiles.rows_of_a_slab(sides, block)
    return _softplus_sums(rows, precision, axis_name, sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _softplus_sums(
    block: int, precision: jnp.dtype, axis_name: AxisName, sides: Sides
) -> SoftplusSums:
    def step(is_home: Array, here: SoftplusSums, block_y: Any) -> tuple[SoftplusSums, Any]:
        at = at_block(sides, is_home, block_y)
        more = _softplus_sums_streamed.sums_of(block, precision, at)
        return _gathered(is_home, here, more), block_y

    sums, _ = around(axis_name, step, _nothing(sides), block_of(sides, precision))
    return _softplus_sums_streamed.kept(sides, sums)


def _forward(
    block: int, precision: jnp.dtype, axis_name: AxisName, sides: Sides
) -> tuple[SoftplusSums, Any]:
    even = _softplus_sums_streamed.even_slopes(sides)
    known, sums = _round(block, precision, axis_name, sides, even)
    return _softplus_sums_streamed.kept(sides, sums), (sides, known)


def _backward(
    block: int, precision: jnp.dtype, axis_name: AxisName, saved: Any, slopes: SoftplusSums
) -> tuple[Sides]:
    sides, known = saved
    slopes = _softplus_sums_streamed.kept(sides, slopes)
    # The same on all devices, as they all must take the second round or none.
    low, high = (
        reduce(end(jnp.where(sides.keep_x, slopes.rows, fill)), axis_name)
        for reduce, end, fill in (
            (jax.lax.pmin, jnp.min, jnp.inf),
            (jax.lax.pmax, jnp.max, -jnp.inf),
        )
    )
    even = _softplus_sums_streamed.even_slopes(sides)
    same = jnp.all(slopes.matches == high * even.matches) & (low == high)
    found = jax.lax.cond(
        jax.lax.pmin(same.astype(int), axis_name) > 0,
        lambda: tuple(high * v for v in known),
        lambda: _round(block, precision, axis_name, sides, slopes)[0],
    )
    dx, dy, *numbers = found
    found = dx.astype(sides.x.dtype), dy.astype(sides.y.dtype), *numbers
    return (_tiles.slopes_of(sides, found),)


_softplus_sums.defvjp(_forward, _backward)


def _round(
    block: int, precision: jnp.dtype, axis_name: AxisName, sides: Sides, slopes: SoftplusSums
) -> tuple[Any, SoftplusSums]:
    """Slopes of x, y, scale and bias in float32, and the sums."""

    def step(is_home: Array, here: Any, travelling: Any) -> tuple[Any, Any]:
        (dx, *numbers), sums = here
        block_y, dy = travelling
        at = at_block(sides, is_home, block_y)
        at = at._replace(x=_tiles.wide(at.x), y=_tiles.wide(at.y))
        own = slopes._replace(matches=jnp.where(is_home, slopes.matches, 0))
        found, more = _softplus_sums_streamed.pull_of(block, precision, at, own)
        dx, dy, *numbers = (a + b for a, b in zip((dx, dy, *numbers), found, strict=True))
        return ((dx, *numbers), _gathered(is_home, sums, more)), (block_y, dy)

    zero = jnp.zeros_like(sides.scale)
    slope = jnp.zeros_like(_tiles.wide(sides.x)), zero, zero
    travelling = block_of(sides, precision), jnp.zeros_like(_tiles.wide(sides.y))
    start = (slope, _nothing(sides)), travelling
    ((dx, *numbers), sums), (_, dy) = around(axis_name, step, *start)
    return (dx, dy, *numbers), sums


def _nothing(sides: Sides) -> SoftplusSums:
    zeros = jnp.zeros_like(sides.keep_x, sides.scale.dtype)
    return SoftplusSums(zeros, zeros)


def _gathered(is_home: Array, sums: SoftplusSums, more: SoftplusSums) -> SoftplusSums:
    matches = jnp.where(is_home, more.matches, sums.matches)
    return SoftplusSums(sums.rows + more.rows, matches)
