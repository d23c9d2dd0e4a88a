"""The softplus sums in slabs of rows: no more than a slab of the logits exists at a time.

The slope of a logit is aᵢ σ(zᵢⱼ) for the cotangent aᵢ of its row, and pᵢ more for that of a match.
A mean of the loss has one aᵢ = −pᵢ for all rows, so that its slopes are known, up to a factor,
while its value is computed: one pass makes both. Other cotangents take a second one.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from crossmodal_jax.kernels.pair_sums import _tiles
from crossmodal_jax.kernels.pair_sums._sides import Sides, SoftplusSums


def softplus_sums(sides: Sides, *, precision: jnp.dtype, block: int = _tiles.BLOCK) -> SoftplusSums:
    """The same in O((n + m) d) memory and that of a few slabs, gradient included."""
    return _softplus_sums(_tiles.rows_of_a_slab(sides, precision, block), precision, sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _softplus_sums(block: int, precision: jnp.dtype, sides: Sides) -> SoftplusSums:
    tiles = _tiles.tiles_of(sides, block, precision)
    return _collected(sides, jax.lax.map(lambda slab: _look(tiles.logits(slab), slab), tiles.slabs))


def _forward(block: int, precision: jnp.dtype, sides: Sides) -> tuple[SoftplusSums, Any]:
    (dx, dy, *numbers), seen = _pull(block, precision, sides, _even_slopes(sides))
    # They are no more exact than that.
    known = dx.astype(precision), dy.astype(precision), *numbers
    return _collected(sides, seen), (sides, known)


def _backward(block: int, precision: jnp.dtype, saved: Any, slopes: SoftplusSums) -> tuple[Sides]:
    sides, known = saved
    even = _even_slopes(sides)
    slopes = SoftplusSums(sides.of_rows(slopes.rows), sides.of_matches(slopes.matches))
    factor = slopes.rows[jnp.argmax(jnp.abs(slopes.rows))]
    same = [jnp.all(a == factor * b) for a, b in zip(slopes, even, strict=True)]
    found = jax.lax.cond(
        same[0] & same[1],
        lambda: tuple(
            (factor * _tiles.wide(v)).astype(w.dtype) for v, w in zip(known, sides[:4], strict=True)
        ),
        # Beside what is known there is less room.
        lambda: _pull(-(-block // 2), precision, sides, slopes)[0],
    )
    return (_tiles.slopes_of(sides, found),)


_softplus_sums.defvjp(_forward, _backward)


def _pull(
    block: int, precision: jnp.dtype, sides: Sides, slopes: SoftplusSums
) -> tuple[_tiles.Slopes, tuple[Array, Array]]:
    tiles = _tiles.tiles_of(sides, block, precision)

    def slope_of(z: Array, slab: _tiles.Slab, row: Array, match: Array) -> Array:
        # An exponential of its own: one shared with the softplus would be written down.
        g = row[:, None] * jax.nn.sigmoid(z)
        return g + jnp.where(tiles.is_at(slab.match), match[:, None], 0)

    per_row = (_tiles.in_slabs(v, block) for v in slopes)
    return _tiles.pull(sides, tiles, slope_of, *per_row, look=_look)


def _even_slopes(sides: Sides) -> SoftplusSums:
    ones = jnp.ones_like(sides.keep_x, sides.scale.dtype)
    return SoftplusSums(sides.of_rows(ones), -sides.of_matches(ones))


def _look(z: Array, slab: _tiles.Slab) -> tuple[Array, Array]:
    # −inf, where a side is dropped, adds 0.
    return jnp.sum(jax.nn.softplus(z), axis=1), _tiles.matches(z, slab)


def _collected(sides: Sides, per_row: tuple[Array, Array]) -> SoftplusSums:
    rows, matches = (v.reshape(-1)[: sides.x.shape[0]] for v in per_row)
    return SoftplusSums(sides.of_rows(rows), sides.of_matches(matches))
