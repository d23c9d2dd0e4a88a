"""The sums over pairs and their gradients from tiles on a Hopper GPU.

For a slab of rows one kernel makes the logits tile by tile and hands out sums over the rows and
columns of each, which are added here. In the backward pass another makes the slopes of the logits
of a slab in bfloat16, whose products with the sides are left to XLA. As in the streamed sums,
exp z is taken as it is while no logit can be large, and relative to maxima beyond that.

The tests interpret the kernels on a CPU, and lower them for a GPU without running them there.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32

from crossmodal_jax.kernels.pair_sums import _mosaic_tile, _tiles
from crossmodal_jax.kernels.pair_sums._mosaic_tile import STEP, TILE, Operands
from crossmodal_jax.kernels.pair_sums._sides import LogSums, Sides, SoftplusSums

# At most so many rows in a slab, and so many slopes (512 MiB), but a tile of rows at least.
_ROWS = 4096
_SLOPES = 2**28


def rows_of_a_slab(sides: Sides) -> int:
    """Whole tiles of rows, the same in all slabs."""
    num, width = (-(-z.shape[0] // TILE) for z in (sides.x, sides.y))
    most = max(1, min(_ROWS, _SLOPES // (TILE * width)) // TILE)
    return TILE * -(-num // -(-num // most))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def log_sums(block: int, interpret: Any, sides: Sides) -> LogSums:
    """Log-sums from slabs of `block` rows."""
    slabs = _slabs(sides, block)

    def plain(total: Array, slab: Operands) -> tuple[Array, Array]:
        rows, columns = _mosaic_tile.sums(slab, interpret=interpret)
        return total + jnp.sum(columns, 0), _log(jnp.sum(rows, 0))

    def by_maxima(state: tuple[Array, Array], slab: Operands) -> tuple[tuple[Array, Array], Array]:
        parts = _mosaic_tile.sums_by_maxima(slab, interpret=interpret)
        top, total = _joined(parts[:2])
        both = zip(state, parts[2:], strict=True)
        state = _joined([jnp.concatenate([old[None], new]) for old, new in both])
        return state, top + _log(total)

    def sums() -> tuple[Array, Array]:
        total, rows = _scan(plain, zeros, slabs)
        return rows, _log(total)

    def sums_by_maxima() -> tuple[Array, Array]:
        (top, total), rows = _scan(by_maxima, (zeros + _mosaic_tile.LOWEST, zeros), slabs)
        return rows, top + _log(total)

    zeros = jnp.zeros_like(slabs.columns[0])
    rows, columns = lax.cond(_tiles.moderate(sides), sums, sums_by_maxima)
    rows, columns = rows[: sides.x.shape[0]], columns[: sides.y.shape[0]]
    return LogSums(sides.of_rows(rows), sides.of_columns(columns), _matches(sides))


def _log_sums_forward(block: int, interpret: Any, sides: Sides) -> tuple[LogSums, Any]:
    sums: Any = log_sums(block, interpret, sides)
    return sums, (sides, sums)


def _log_sums_backward(block: int, interpret: Any, saved: Any, slopes: LogSums) -> tuple[Sides]:
    sides, sums = saved
    own = sides.of_matches(slopes.matches)
    of_rows, of_columns = sides.of_rows(slopes.rows), sides.of_columns(slopes.columns)

    def plain() -> _tiles.Slopes:
        rows = own, of_rows * jnp.exp(-sums.rows)
        slabs = _slabs(sides, block, rows, [of_columns * jnp.exp(-sums.columns)])
        return _pull(sides, slabs, functools.partial(_mosaic_tile.slopes, interpret=interpret))

    def by_maxima() -> _tiles.Slopes:
        slabs = _slabs(sides, block, (own, of_rows, sums.rows), (of_columns, sums.columns))
        kernel = functools.partial(_mosaic_tile.slopes_by_maxima, interpret=interpret)
        return _pull(sides, slabs, kernel)

    # The bias is none of theirs: every softmax cancels it.
    return (_tiles.slopes_of(sides, lax.cond(_tiles.moderate(sides), plain, by_maxima)),)


log_sums.defvjp(_log_sums_forward, _log_sums_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def softplus_sums(block: int, interpret: Any, sides: Sides) -> SoftplusSums:
    """Softplus sums from slabs of `block` rows."""

    def step(_: None, slab: Operands) -> tuple[None, Array]:
        (rows,) = _mosaic_tile.softplus_sums(slab, interpret=interpret)
        return None, jnp.sum(rows, 0)

    _, rows = _scan(step, None, _slabs(sides, block))
    return SoftplusSums(sides.of_rows(rows[: sides.x.shape[0]]), _matches(sides))


def _softplus_sums_forward(block: int, interpret: Any, sides: Sides) -> tuple[SoftplusSums, Any]:
    return softplus_sums(block, interpret, sides), sides


def _softplus_sums_backward(
    block: int, interpret: Any, sides: Sides, slopes: SoftplusSums
) -> tuple[Sides]:
    rows = sides.of_matches(slopes.matches), sides.of_rows(slopes.rows)
    kernel = functools.partial(_mosaic_tile.softplus_slopes, interpret=interpret)
    return (_tiles.slopes_of(sides, _pull(sides, _slabs(sides, block, rows), kernel)),)


softplus_sums.defvjp(_softplus_sums_forward, _softplus_sums_backward)


def _slabs(
    sides: Sides,
    block: int,
    rows: Sequence[Float32[Array, "n"]] = (),
    columns: Sequence[Float32[Array, "m"]] = (),
) -> Operands:
    """The sides in whole tiles and slabs, that is with a leading axis in what belongs to rows."""
    x, y = (_padded(z.astype(jnp.bfloat16), 1, STEP) for z in (sides.x, sides.y))
    in_slabs = functools.partial(_tiles.in_slabs, block=block)
    # Rows that are added are dropped ones.
    offset = jnp.where(in_slabs(sides.keep_x), sides.bias, -jnp.inf)
    scale = jnp.full_like(offset, sides.scale)
    of_rows = jnp.stack([scale, offset, *map(in_slabs, rows)], 1)
    offset = jnp.where(_padded(sides.keep_y, 0, TILE), jnp.zeros_like(sides.scale), -jnp.inf)
    of_columns = jnp.stack([offset, *(_padded(v, 0, TILE) for v in columns)])
    match = in_slabs(sides.match.astype(jnp.int32))
    return Operands(in_slabs(x), _padded(y, 0, TILE).T, of_rows, of_columns, match)


def _scan(step: Callable[..., Any], state: Any, slabs: Operands) -> tuple[Any, Array]:
    """Takes slab after slab: `step(state, slab)` returns a new state, and something per row."""

    def one(state: Any, part: tuple[Array, ...]) -> tuple[Any, Array]:
        x, rows, match = part
        return step(state, slabs._replace(x=x, rows=rows, match=match))

    state, found = lax.scan(one, state, (slabs.x, slabs.rows, slabs.match))
    return state, found.reshape(-1, *found.shape[2:])


def _pull(sides: Sides, slabs: Operands, kernel: Callable[..., Any]) -> _tiles.Slopes:
    """Slopes of x, y, scale and bias from those of the logits, that `kernel` makes of a slab.

    What it returns besides are sums of those, which the slope of a bias is.
    """

    def step(state: tuple[Array, ...], slab: Operands) -> tuple[tuple[Array, ...], Array]:
        dy, d_scale, d_bias = state
        g, *sums = kernel(slab)
        dx = _tiles.product(g, slab.y)
        d_scale += jnp.sum(_tiles.wide(slab.x) * dx)
        d_bias += sum(jnp.sum(v) for v in sums)
        dx = (sides.scale * dx).astype(sides.x.dtype)
        return (dy + _tiles.combine(slab.x.T, g), d_scale, d_bias), dx

    zero = jnp.zeros_like(sides.scale)
    start = jnp.zeros(slabs.y.shape, zero.dtype), zero, zero
    (dy, d_scale, d_bias), dx = _scan(step, start, slabs)
    dy = (sides.scale * dy).astype(sides.y.dtype).T
    (n, d), m = sides.x.shape, sides.y.shape[0]
    return dx[:n, :d], dy[:m, :d], d_scale, d_bias


def _matches(sides: Sides) -> Float32[Array, "n"]:
    """The logits of the matches, from what the tiles are made of."""
    x, y = (_tiles.wide(z.astype(jnp.bfloat16)) for z in (sides.x, sides.y[sides.match]))
    return sides.of_matches(sides.scale * jnp.sum(x * y, axis=1) + sides.bias)


def _joined(parts: Sequence[Float32[Array, "k n"]]) -> tuple[Array, Array]:
    """The largest of maxima, and the sum relative to it of sums relative to those."""
    tops, totals = parts
    top = jnp.max(tops, 0)
    return top, jnp.sum(totals * jnp.exp(tops - top), 0)


def _log(total: Float32[Array, "n"]) -> Float32[Array, "n"]:
    """The logarithm; 0 of an empty sum, which nobody asks for."""
    return jnp.log(jnp.where(total > 0, total, 1))


def _padded(z: Array, axis: int, multiple: int) -> Array:
    widths = [(0, 0)] * z.ndim
    widths[axis] = (0, -z.shape[axis] % multiple)
    return jnp.pad(z, widths)
