"""The log-sums in slabs of rows: the logits never exist as a whole, nor does their gradient.

By Cauchy and Schwarz no logit exceeds |s| max‖xᵢ‖ max‖yⱼ‖ in size. While that is moderate, exp z
and its sums over rows and columns are normal numbers: one exponential for both, and nothing is
subtracted. Beyond that, maxima are: those of a row, which a slab holds whole, and running ones for
the columns.

For the cotangents a and b of the log-sums r of the rows and c of the columns, the slope of the
logits is Gᵢⱼ = aᵢ exp(zᵢⱼ − rᵢ) + bⱼ exp(zᵢⱼ − cⱼ), and where i and j match those of the matches
are added.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from crossmodal_jax.kernels.pair_sums import _tiles
from crossmodal_jax.kernels.pair_sums._sides import Sides, Sums


def log_sums(sides: Sides, *, precision: jnp.dtype, block: int = _tiles.BLOCK) -> Sums:
    """The same in O((n + m) d) memory and that of a few slabs, gradient included."""
    return _log_sums(_tiles.rows_of_a_slab(sides, block), precision, sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _log_sums(block: int, precision: jnp.dtype, sides: Sides) -> Sums:
    return kept(sides, sums_of(block, precision, sides))


def _forward(block: int, precision: jnp.dtype, sides: Sides) -> tuple[Sums, Any]:
    sums: Any = _log_sums(block, precision, sides)
    return sums, (sides, sums)


def _backward(block: int, precision: jnp.dtype, saved: Any, slopes: Sums) -> tuple[Sides]:
    sides, sums = saved
    found = slopes_of(block, precision, sides, sums, kept(sides, slopes))
    return (_tiles.slopes_of(sides, found),)


_log_sums.defvjp(_forward, _backward)


def sums_of(block: int, precision: jnp.dtype, sides: Sides) -> Sums:
    """The sums in slabs of `block` rows; −inf where they are empty."""
    tiles = _tiles.tiles_of(sides, block, precision)
    (columns, column_matches), per_row = jax.lax.cond(
        _tiles.moderate(sides), _plain_sums, _sums_by_maxima, tiles
    )
    rows, row_matches = (v.reshape(-1)[: sides.x.shape[0]] for v in per_row)
    return Sums(rows, columns, row_matches, column_matches)


def slopes_of(
    block: int, precision: jnp.dtype, sides: Sides, sums: Sums, slopes: Sums
) -> _tiles.Slopes:
    """Slopes of x, y, scale and bias for those of the sums; all finite."""
    tiles = _tiles.tiles_of(sides, block, precision)

    def moderate(z: Array, slab: _tiles.Slab, slope: Array, row: Array, match: Array) -> Array:
        of_rows = (slope * jnp.exp(-row))[:, None]
        g = jnp.exp(z) * (of_rows + slopes.columns * jnp.exp(-sums.columns))
        return g + _at_matches(tiles, slab, match, slopes.column_matches)

    def large(z: Array, slab: _tiles.Slab, slope: Array, row: Array, match: Array) -> Array:
        of_rows = slope[:, None] * jnp.exp(z - row[:, None])
        g = of_rows + slopes.columns * jnp.exp(z - sums.columns)
        return g + _at_matches(tiles, slab, match, slopes.column_matches)

    rows = slopes.rows, sums.rows, slopes.row_matches
    per_row = [_tiles.in_slabs(v, block) for v in rows]
    found = jax.lax.cond(
        _tiles.moderate(sides),
        lambda: _tiles.pull(sides, tiles, moderate, *per_row)[0][:3],
        lambda: _tiles.pull(sides, tiles, large, *per_row)[0][:3],
    )
    # Log-sums take no bias, which every softmax cancels.
    return (*found, jnp.zeros_like(sides.bias))


def kept(sides: Sides, sums: Sums) -> Sums:
    """The sums, or their slopes, with 0 for those that are empty, dropped or excluded."""
    rows, columns = sides.of_rows(_finite(sums.rows)), sides.of_columns(_finite(sums.columns))
    if sides.labels is None:
        row_matches, column_matches = sides.of_matches(sums.row_matches), sums.column_matches
    else:
        row_matches = sides.of_rows(sums.row_matches)
        column_matches = sides.of_columns(sums.column_matches)
    return Sums(rows, columns, row_matches, column_matches)


def _plain_sums(tiles: _tiles.Tiles) -> Any:
    """Log-sums and matches of the columns; those of the rows, in slabs."""

    def look(z: Array, total: Array) -> tuple[Array, Array]:
        exponentials = jnp.exp(z)
        rows = jnp.log(jnp.sum(exponentials, axis=1))
        return rows, total + jnp.sum(exponentials, axis=0)

    start = jnp.zeros_like(tiles.keep_y, tiles.scale.dtype)
    (total, matches), per_row = _over_slabs(tiles, look, start)
    return (jnp.log(total), matches), per_row


def _sums_by_maxima(tiles: _tiles.Tiles) -> Any:
    def look(z: Array, state: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        largest, total = state
        top = _finite(jnp.max(z, axis=1))
        rows = top + jnp.log(jnp.sum(jnp.exp(z - top[:, None]), axis=1))
        new = jnp.maximum(largest, jnp.max(z, axis=0))
        base = _finite(new)
        total = total * jnp.exp(largest - base) + jnp.sum(jnp.exp(z - base), axis=0)
        return rows, (new, total)

    start = jnp.zeros_like(tiles.keep_y, tiles.scale.dtype)
    ((largest, total), matches), per_row = _over_slabs(tiles, look, (start - jnp.inf, start))
    return (_finite(largest) + jnp.log(total), matches), per_row


def _over_slabs(
    tiles: _tiles.Tiles, look: Callable[[Array, Any], tuple[Array, Any]], start: Any
) -> Any:
    """What `look` gathers of the columns and makes of the rows, and the logits of the matches."""

    def step(state: tuple[Any, Any], slab: _tiles.Slab) -> tuple[Any, tuple[Array, Array]]:
        gathered, column_matches = state
        z = tiles.logits(slab)
        rows, gathered = look(z, gathered)
        if slab.label is None:
            return (gathered, None), (rows, _tiles.matches(z, slab))
        # The very numbers of the sums: what rounding did to them cancels in a loss.
        matching = jnp.where(tiles.same_label(slab), z, 0)
        state = gathered, column_matches + jnp.sum(matching, axis=0)
        return state, (rows, jnp.sum(matching, axis=1))

    none = None if tiles.label_y is None else jnp.zeros_like(tiles.keep_y, tiles.scale.dtype)
    return jax.lax.scan(step, (start, none), tiles.slabs)


def _at_matches(
    tiles: _tiles.Tiles, slab: _tiles.Slab, rows: Array, columns: Array | None
) -> Array:
    """The slopes of the matches in their places."""
    if columns is None:
        return jnp.where(tiles.is_at(slab.match), rows[:, None], 0)
    return jnp.where(tiles.same_label(slab), rows[:, None] + columns, 0)


def _finite(x: Array) -> Array:
    return jnp.where(jnp.isneginf(x), 0, x)
