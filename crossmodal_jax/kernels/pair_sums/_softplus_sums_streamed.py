"""The softplus sums in slabs of rows; the slope of a logit is aᵢ σ(zᵢⱼ) for the cotangent a."""

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

    def part(slab: _tiles.Slab) -> tuple[Array, Array]:
        z = tiles.logits(slab)
        # −inf, where a side is dropped, adds 0.
        softplus = jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))
        return jnp.sum(softplus, axis=1), _tiles.matches(z, slab)

    per_row = jax.lax.map(part, tiles.slabs)
    rows, matches = (v.reshape(-1)[: sides.x.shape[0]] for v in per_row)
    return SoftplusSums(sides.of_rows(rows), sides.of_matches(matches))


def _forward(block: int, precision: jnp.dtype, sides: Sides) -> tuple[SoftplusSums, Any]:
    sums: Any = _softplus_sums(block, precision, sides)
    return sums, sides


def _backward(block: int, precision: jnp.dtype, sides: Any, slopes: SoftplusSums) -> tuple[Sides]:
    def slope_of(z: Array, slope: Array) -> Array:
        return slope[:, None] * jax.nn.sigmoid(z)

    tiles = _tiles.tiles_of(sides, block, precision)
    rows = _tiles.in_slabs(sides.of_rows(slopes.rows), block)
    own = _tiles.in_slabs(sides.of_matches(slopes.matches), block)
    return (_tiles.slopes_of(sides, _tiles.pull(sides, tiles, slope_of, rows, own=own)),)


_softplus_sums.defvjp(_forward, _backward)
