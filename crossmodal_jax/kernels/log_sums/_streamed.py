"""The log-sums in slabs of rows: the logits never exist as a whole, nor does their gradient.

A slab of rows is compared with all columns. By Cauchy and Schwarz no logit exceeds
|s| max‖xᵢ‖ max‖yⱼ‖ in size. While that is moderate, exp z and its sums over rows and columns are
normal numbers: one exponential for both, and nothing is subtracted. Beyond that, maxima are: those
of a row, which a slab holds whole, and running ones for the columns.

In the backward pass a slab is made again, with the slope Gᵢⱼ = aᵢ exp(zᵢⱼ − rᵢ) +
bⱼ exp(zᵢⱼ − cⱼ) of its logits, for the cotangents a and b of the log-sums r and c, and that of
the match in its place. Then dX = s G Y and dY = s Gᵀ X are all that is needed: the slope of s is
Σᵢ ⟨xᵢ, (G Y)ᵢ⟩.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax.kernels.log_sums import _tiles
from crossmodal_jax.kernels.log_sums._xla import LogSums, Sides
from crossmodal_jax.numerics import safe_norm

_BLOCK = 512
# Of the logits of a slab, and of their slopes if those have a dtype of their own.
_SLAB_BYTES = 2**24
# exp of it times a million rows, and the inverse of that, are numbers in float32.
_LARGEST = 60.0


class _Slab(NamedTuple):
    """What belongs to some rows of x; all of them, in slabs, have a leading axis more."""

    x: Float[Array, "*k block d"]
    keep: Bool[Array, "*k block"]
    match: Int[Array, "*k block"]


class _Tiles(NamedTuple):
    """The sides in slabs, in the dtype of the products, and whether all logits are moderate."""

    slabs: _Slab
    y: Float[Array, "m d"]
    keep_y: Bool[Array, "m"]
    scale: Float[Array, ""]
    moderate: Bool[Array, ""]

    def logits(self, slab: _Slab) -> Float[Array, "block m"]:
        """Logits of a slab, −inf where either side is dropped."""
        z = self.scale * _tiles.product(slab.x, self.y)
        return jnp.where(slab.keep[:, None] & self.keep_y, z, -jnp.inf)


def log_sums(sides: Sides, *, precision: jnp.dtype, block: int = _BLOCK) -> LogSums:
    """The same in O((n + m) d) memory and that of a few slabs, gradient included."""
    num, width = sides.x.shape[0], sides.y.shape[0]
    size = sides.scale.dtype.itemsize * (1 if precision == sides.scale.dtype else 2)
    least = -(-num // max(1, min(block, _SLAB_BYTES // (size * width))))
    # A few more slabs, if those are even: then nothing is padded, and no copy made.
    num_slabs = next((k for k in range(least, 2 * least) if num % k == 0), least)
    return _log_sums(-(-num // num_slabs), precision, sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _log_sums(block: int, precision: jnp.dtype, sides: Sides) -> LogSums:
    tiles = _tiles_of(sides, block, precision)
    columns, per_row = jax.lax.cond(tiles.moderate, _sums, _sums_by_maxima, tiles)
    rows, matches = (v.reshape(-1)[: sides.x.shape[0]] for v in per_row)
    return sides.kept(LogSums(rows, columns, matches))


def _forward(block: int, precision: jnp.dtype, sides: Sides) -> tuple[LogSums, Any]:
    sums: Any = _log_sums(block, precision, sides)
    return sums, (sides, sums)


def _backward(block: int, precision: jnp.dtype, saved: Any, slopes: LogSums) -> Any:
    sides, sums = saved
    tiles = _tiles_of(sides, block, precision)
    slopes = sides.kept(slopes)
    per_row = [_in_slabs(v, block) for v in (slopes.rows, sums.rows, slopes.matches)]

    def moderate(z: Array, slope: Array, row: Array) -> Array:
        of_row, of_columns = slope * jnp.exp(-row), slopes.columns * jnp.exp(-sums.columns)
        return jnp.exp(z) * (of_row[:, None] + of_columns)

    def large(z: Array, slope: Array, row: Array) -> Array:
        of_rows = slope[:, None] * jnp.exp(z - row[:, None])
        return of_rows + slopes.columns * jnp.exp(z - sums.columns)

    def pull(slope_of: Callable[..., Array]) -> tuple[Array, Array, Array]:
        def step(state: tuple[Array, Array], part: Any) -> tuple[tuple[Array, Array], Array]:
            dy, d_scale = state
            slab, slope, row, own_slope = part
            g = slope_of(tiles.logits(slab), slope, row)
            # In float32: a slope of nearly −1 plus a share of nearly 1 is lost in bfloat16.
            own = jnp.arange(g.shape[1]) == slab.match[:, None]
            g = (g + jnp.where(own, own_slope[:, None], 0)).astype(precision)
            dx = _tiles.combine(g, tiles.y)
            d_scale += jnp.sum(_wide(slab.x) * dx)
            dx = (sides.scale * dx).astype(sides.x.dtype)
            return (dy + _tiles.combine(slab.x.T, g), d_scale), dx

        start = jnp.zeros(sides.y.shape[::-1], sides.scale.dtype), jnp.zeros_like(sides.scale)
        (dy, d_scale), dx = jax.lax.scan(step, start, (tiles.slabs, *per_row))
        dx = dx.reshape(-1, dx.shape[-1])[: sides.x.shape[0]]
        return dx, (sides.scale * dy).astype(sides.y.dtype).T, d_scale

    slopes_of_sides = jax.lax.cond(tiles.moderate, lambda: pull(moderate), lambda: pull(large))
    none: Any = [np.zeros(v.shape, jax.dtypes.float0) for v in sides[3:]]
    return (Sides(*slopes_of_sides, *none),)


_log_sums.defvjp(_forward, _backward)


def _sums(tiles: _Tiles) -> tuple[Array, tuple[Array, Array]]:
    """Log-sums of the columns; those of the rows and the logits of the matches, in slabs."""

    def step(total: Array, slab: _Slab) -> tuple[Array, tuple[Array, Array]]:
        z = tiles.logits(slab)
        exponentials = jnp.exp(z)
        rows = _log(jnp.sum(exponentials, axis=1))
        return total + jnp.sum(exponentials, axis=0), (rows, _matches(z, slab))

    total, per_row = jax.lax.scan(
        step, jnp.zeros_like(tiles.y[:, 0], tiles.scale.dtype), tiles.slabs
    )
    return _log(total), per_row


def _sums_by_maxima(tiles: _Tiles) -> tuple[Array, tuple[Array, Array]]:
    def step(state: tuple[Array, Array], slab: _Slab) -> tuple[Any, tuple[Array, Array]]:
        largest, total = state
        z = tiles.logits(slab)
        top = _finite(jnp.max(z, axis=1))
        rows = top + _log(jnp.sum(jnp.exp(z - top[:, None]), axis=1))
        new = jnp.maximum(largest, jnp.max(z, axis=0))
        base = _finite(new)
        total = total * jnp.exp(largest - base) + jnp.sum(jnp.exp(z - base), axis=0)
        return (new, total), (rows, _matches(z, slab))

    zeros = jnp.zeros_like(tiles.y[:, 0], tiles.scale.dtype)
    (largest, total), per_row = jax.lax.scan(step, (zeros - jnp.inf, zeros), tiles.slabs)
    return _finite(largest) + _log(total), per_row


def _matches(z: Float[Array, "block m"], slab: _Slab) -> Float[Array, "block"]:
    """The very numbers that the sums contain: what rounding did to them cancels in a loss."""
    return jnp.take_along_axis(z, slab.match[:, None], axis=1)[:, 0]


def _tiles_of(sides: Sides, block: int, precision: jnp.dtype) -> _Tiles:
    rows = (sides.x.astype(precision), sides.keep_x, sides.match)
    longest = [jnp.max(safe_norm(_wide(z), axis=1), initial=0) for z in (sides.x, sides.y)]
    return _Tiles(
        slabs=_Slab(*(_in_slabs(v, block) for v in rows)),
        y=sides.y.astype(precision),
        keep_y=sides.keep_y,
        scale=sides.scale,
        moderate=jnp.abs(sides.scale) * longest[0] * longest[1] <= _LARGEST,
    )


def _in_slabs(rows: Array, block: int) -> Array:
    """Rows in slabs of `block`, after the last one zeros, which are dropped rows."""
    rows = jnp.pad(rows, [(0, -rows.shape[0] % block)] + [(0, 0)] * (rows.ndim - 1))
    return rows.reshape(-1, block, *rows.shape[1:])


def _finite(x: Array) -> Array:
    return jnp.where(jnp.isneginf(x), 0, x)


def _log(total: Array) -> Array:
    """The logarithm; 0 of an empty sum, which nobody asks for."""
    return jnp.log(jnp.where(total > 0, total, 1))


def _wide(x: Array) -> Array:
    return x.astype(np.promote_types(x.dtype, jnp.float32))
