"""The log-sums in slabs of rows: the logits never exist as a whole, nor does their gradient.

By Cauchy and Schwarz no logit exceeds |s| max‖xᵢ‖ max‖yⱼ‖ in size. While that is moderate, exp z
and its sums over rows and columns are normal numbers: one exponential for both, and nothing is
subtracted. Beyond that, maxima are: those of a row, which a slab holds whole, and running ones for
the columns.

For the cotangents a and b of the log-sums r of the rows and c of the columns, the slope of the
logits is Gᵢⱼ = aᵢ exp(zᵢⱼ − rᵢ) + bⱼ exp(zᵢⱼ − cⱼ), and that of the match in its place.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from crossmodal_jax.kernels.pair_sums import _tiles
from crossmodal_jax.kernels.pair_sums._sides import LogSums, Sides
from crossmodal_jax.numerics import safe_norm

# exp of it times a million rows, and the inverse of that, are numbers in float32.
_LARGEST = 60.0


def log_sums(sides: Sides, *, precision: jnp.dtype, block: int = _tiles.BLOCK) -> LogSums:
    """The same in O((n + m) d) memory and that of a few slabs, gradient included."""
    return _log_sums(_tiles.rows_of_a_slab(sides, precision, block), precision, sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _log_sums(block: int, precision: jnp.dtype, sides: Sides) -> LogSums:
    tiles = _tiles.tiles_of(sides, block, precision)
    columns, per_row = jax.lax.cond(_moderate(sides), _sums, _sums_by_maxima, tiles)
    rows, matches = (v.reshape(-1)[: sides.x.shape[0]] for v in per_row)
    return LogSums(sides.of_rows(rows), sides.of_columns(columns), sides.of_matches(matches))


def _forward(block: int, precision: jnp.dtype, sides: Sides) -> tuple[LogSums, Any]:
    sums: Any = _log_sums(block, precision, sides)
    return sums, (sides, sums)


def _backward(block: int, precision: jnp.dtype, saved: Any, slopes: LogSums) -> tuple[Sides]:
    sides, sums = saved
    of_columns = sides.of_columns(slopes.columns)
    per_row = [_tiles.in_slabs(v, block) for v in (sides.of_rows(slopes.rows), sums.rows)]
    own = _tiles.in_slabs(sides.of_matches(slopes.matches), block)

    def moderate(z: Array, slope: Array, row: Array) -> Array:
        of_rows = (slope * jnp.exp(-row))[:, None]
        return jnp.exp(z) * (of_rows + of_columns * jnp.exp(-sums.columns))

    def large(z: Array, slope: Array, row: Array) -> Array:
        of_rows = slope[:, None] * jnp.exp(z - row[:, None])
        return of_rows + of_columns * jnp.exp(z - sums.columns)

    tiles = _tiles.tiles_of(sides, block, precision)
    found = jax.lax.cond(
        _moderate(sides),
        lambda: _tiles.pull(sides, tiles, moderate, *per_row, own=own)[0][:3],
        lambda: _tiles.pull(sides, tiles, large, *per_row, own=own)[0][:3],
    )
    # Log-sums take no bias, which every softmax cancels.
    return (_tiles.slopes_of(sides, (*found, jnp.zeros_like(sides.bias))),)


_log_sums.defvjp(_forward, _backward)


def _moderate(sides: Sides) -> Bool[Array, ""]:
    longest = [jnp.max(safe_norm(_tiles.wide(z), axis=1), initial=0) for z in (sides.x, sides.y)]
    return jnp.abs(sides.scale) * longest[0] * longest[1] <= _LARGEST


def _sums(tiles: _tiles.Tiles) -> tuple[Array, tuple[Array, Array]]:
    """Log-sums of the columns; those of the rows and the logits of the matches, in slabs."""

    def step(total: Array, slab: _tiles.Slab) -> tuple[Array, tuple[Array, Array]]:
        z = tiles.logits(slab)
        exponentials = jnp.exp(z)
        rows = _log(jnp.sum(exponentials, axis=1))
        return total + jnp.sum(exponentials, axis=0), (rows, _tiles.matches(z, slab))

    start = jnp.zeros_like(tiles.keep_y, tiles.scale.dtype)
    total, per_row = jax.lax.scan(step, start, tiles.slabs)
    return _log(total), per_row


def _sums_by_maxima(tiles: _tiles.Tiles) -> tuple[Array, tuple[Array, Array]]:
    def step(state: tuple[Array, Array], slab: _tiles.Slab) -> tuple[Any, tuple[Array, Array]]:
        largest, total = state
        z = tiles.logits(slab)
        top = _finite(jnp.max(z, axis=1))
        rows = top + _log(jnp.sum(jnp.exp(z - top[:, None]), axis=1))
        new = jnp.maximum(largest, jnp.max(z, axis=0))
        base = _finite(new)
        total = total * jnp.exp(largest - base) + jnp.sum(jnp.exp(z - base), axis=0)
        return (new, total), (rows, _tiles.matches(z, slab))

    start = jnp.zeros_like(tiles.keep_y, tiles.scale.dtype)
    (largest, total), per_row = jax.lax.scan(step, (start - jnp.inf, start), tiles.slabs)
    return _finite(largest) + _log(total), per_row


def _finite(x: Array) -> Array:
    return jnp.where(jnp.isneginf(x), 0, x)


def _log(total: Array) -> Array:
    """The logarithm; 0 of an empty sum, which nobody asks for."""
    return jnp.log(jnp.where(total > 0, total, 1))
