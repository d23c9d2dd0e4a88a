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
    return _softplus_sums(_tiles.rows_of_a_slab(sides, block), precision, sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _softplus_sums(block: int, precision: jnp.dtype, sides: Sides) -> SoftplusSums:
    return kept(sides, sums_of(block, precision, sides))


def _forward(block: int, precision: jnp.dtype, sides: Sides) -> tuple[SoftplusSums, Any]:
    # They are no more exact than the products.
    even = even_slopes(sides)
    known, sums = pull_of(block, precision, sides, even, dtype=precision)
    return kept(sides, sums), (sides, known)


def _backward(block: int, precision: jnp.dtype, saved: Any, slopes: SoftplusSums) -> tuple[Sides]:
    sides, known = saved
    even, slopes = even_slopes(sides), kept(sides, slopes)
    factor = slopes.rows[jnp.argmax(jnp.abs(slopes.rows))]
    same = [jnp.all(a == factor * b) for a, b in zip(slopes, even, strict=True)]
    found = jax.lax.cond(
        same[0] & same[1],
        lambda: tuple(
            (factor * _tiles.wide(v)).astype(w.dtype) for v, w in zip(known, sides[:4], strict=True)
        ),
        # Beside what is known there is less room.
        lambda: pull_of(-(-block // 2), precision, sides, slopes)[0],
    )
    return (_tiles.slopes_of(sides, found),)


_softplus_sums.defvjp(_forward, _backward)


def sums_of(block: int, precision: jnp.dtype, sides: Sides) -> SoftplusSums:
    """The sums in slabs of `block` rows; those of no match are of no meaning."""
    tiles = _tiles.tiles_of(sides, block, precision)
    seen = jax.lax.map(lambda slab: _look(tiles.logits(slab), slab), tiles.slabs)
    return _collected(sides, seen)


def pull_of(
    block: int,
    precision: jnp.dtype,
    sides: Sides,
    slopes: SoftplusSums,
    *,
    dtype: jnp.dtype | None = None,
) -> tuple[_tiles.Slopes, SoftplusSums]:
    """Slopes of x, y, scale and bias for those of the sums, and the sums; `dtype` as in `pull`."""
    tiles = _tiles.tiles_of(sides, block, precision)

    def slope_of(z: Array, slab: _tiles.Slab, row: Array, match: Array) -> Array:
        # An exponential of its own: one shared with the softplus would be written down.
        g = row[:, None] * jax.nn.sigmoid(z)
        return g + jnp.where(tiles.is_at(slab.match), match[:, None], 0)

    per_row = (_tiles.in_slabs(v, block) for v in slopes)
    found, seen = _tiles.pull(sides, tiles, slope_of, *per_row, look=_look, dtype=dtype)
    return found, _collected(sides, seen)


def even_slopes(sides: Sides) -> SoftplusSums:
    """Those of the sum of the losses."""
    ones = jnp.ones_like(sides.keep_x, sides.scale.dtype)
    return kept(sides, SoftplusSums(ones, -ones))


def kept(sides: Sides, sums: SoftplusSums) -> SoftplusSums:
    """The sums, or their slopes, with 0 for what is dropped or excluded."""
    return SoftplusSums(sides.of_rows(sums.rows), sides.of_matches(sums.matches))


def _look(z: Array, slab: _tiles.Slab) -> tuple[Array, Array]:
    # A third of the time of `jax.nn.softplus`; −inf, where a side is dropped, adds 0.
    softplus = jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))
    return jnp.sum(softplus, axis=1), _tiles.matches(z, slab)


def _collected(sides: Sides, per_row: tuple[Array, Array]) -> SoftplusSums:
    rows, matches = (v.reshape(-1)[: sides.x.shape[0]] for v in per_row)
    return SoftplusSums(rows, matches)
