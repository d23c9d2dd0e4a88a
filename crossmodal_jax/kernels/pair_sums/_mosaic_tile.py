"""Tiles of X·Yᵀ on Hopper GPUs, reduced before they leave the chip.

One warpgroup multiplies a tile with its tensor cores, while copies of the next steps along d are
on their way, and keeps it in its registers; what leaves are sums over it, or the tile of slopes
in bfloat16. Warpgroups are not joined in larger blocks: those of one block would share the
memory through which a sum over rows passes between warps, and nothing orders them there. Two
blocks fit on a multiprocessor, so that one can multiply while the other takes exponentials.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.experimental.pallas as pl
import jax.experimental.pallas.mosaic_gpu as plgpu
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, BFloat16, Float, Float32, Int32

# Rows and columns of a tile, and the part of d that one step multiplies: 128 bytes of bfloat16,
# the longest line that a copy can swizzle.
TILE = 128
STEP = 64
_LINES = plgpu.TilingTransform((8, STEP)), plgpu.SwizzleTransform(2 * STEP)
# Terms of log(1 + u) = 2 artanh(u / (2 + u)): a relative error of 2⁻²⁶ up to u = 1.
_TERMS = 7
LOWEST = float(jnp.finfo(jnp.float32).min)


class Operands(NamedTuple):
    """What the tiles are made of; rows and columns are whole tiles, d whole steps.

    Attributes:
      x: Rows.
      y: Columns: the second side, transposed.
      rows: For each row the scale, and what is added: the bias, −inf where dropped; then what
        the sums of slopes ask for.
      columns: For each column what is added: 0, −inf where dropped; then as `rows`.
      match: The column that matches each row.
    """

    x: BFloat16[Array, "n d"]
    y: BFloat16[Array, "d m"]
    rows: Float32[Array, "r n"]
    columns: Float32[Array, "c m"]
    match: Int32[Array, "n"]


class Made(NamedTuple):
    """What a tile becomes: tiles, and numbers for its rows and for its columns.

    They are arrays, or references to the memory for them.
    """

    tiles: tuple[Any, ...] = ()
    rows: tuple[Any, ...] = ()
    columns: tuple[Any, ...] = ()


def sums(operands: Operands, *, interpret: Any) -> tuple[Float[Array, "k n"], Float[Array, "l m"]]:
    """Sums of exp z over the rows and the columns of each tile: [m / TILE, n], [n / TILE, m]."""

    def of_tile(z: Array) -> Made:
        exponentials = jnp.exp(z)
        return Made(rows=(jnp.sum(exponentials, 1),), columns=(jnp.sum(exponentials, 0),))

    return _run(of_tile, operands, interpret, rows=1, columns=1)


def sums_by_maxima(operands: Operands, *, interpret: Any) -> tuple[Float[Array, "k _"], ...]:
    """The largest z and the sum of exp(z − it): two results over rows, and two over columns."""

    def over(z: Array, axis: int) -> tuple[Array, Array]:
        # −inf only, where all is dropped: the difference to a finite number is −inf again.
        top = jnp.maximum(jnp.max(z, axis), LOWEST)
        return top, jnp.sum(jnp.exp(z - _spread(top, 1 - axis)), axis)

    def of_tile(z: Array) -> Made:
        return Made(rows=over(z, 1), columns=over(z, 0))

    return _run(of_tile, operands, interpret, rows=2, columns=2)


def softplus_sums(operands: Operands, *, interpret: Any) -> tuple[Float[Array, "k n"]]:
    """Sums of log(1 + exp z) over the rows of each tile, shape [m / TILE, n]."""

    def of_tile(z: Array) -> Made:
        u = jnp.exp(-jnp.abs(z))
        t = u / (2 + u)
        series = jnp.zeros_like(t)
        for k in reversed(range(_TERMS)):
            series = series * t * t + 1 / (2 * k + 1)
        return Made(rows=(jnp.sum(jnp.maximum(z, 0) + 2 * t * series, 1),))

    return _run(of_tile, operands, interpret, rows=1)


def slopes(operands: Operands, *, interpret: Any) -> tuple[BFloat16[Array, "n m"]]:
    """Slopes exp(z) (αᵢ + βⱼ), and those of matches besides; `rows` hold these and α."""

    def of_tile(z: Array, own: Array, rows: list[Array], columns: list[Array]) -> Made:
        weights = _spread(rows[0], 0) + _spread(columns[0], 1)
        return Made(tiles=(jnp.exp(z) * weights + own,))

    return _run(of_tile, operands, interpret, tiles=1)


def slopes_by_maxima(operands: Operands, *, interpret: Any) -> tuple[BFloat16[Array, "n m"]]:
    """Slopes aᵢ exp(z − rᵢ) + bⱼ exp(z − cⱼ); `rows` hold those of matches, a and r."""

    def of_tile(z: Array, own: Array, rows: list[Array], columns: list[Array]) -> Made:
        of_rows = _spread(rows[0], 0) * jnp.exp(z - _spread(rows[1], 0))
        of_columns = _spread(columns[0], 1) * jnp.exp(z - _spread(columns[1], 1))
        return Made(tiles=(of_rows + of_columns + own,))

    return _run(of_tile, operands, interpret, tiles=1)


def softplus_slopes(
    operands: Operands, *, interpret: Any
) -> tuple[BFloat16[Array, "n m"], Float[Array, "k n"]]:
    """Slopes aᵢ σ(z), and sums of them over the rows of each tile, from before the rounding."""

    def of_tile(z: Array, own: Array, rows: list[Array], _: Any) -> Made:
        u = jnp.exp(-jnp.abs(z))
        slope = _spread(rows[0], 0) * (jnp.where(z >= 0, 1.0, u) / (1 + u)) + own
        return Made(tiles=(slope,), rows=(jnp.sum(slope, 1),))

    return _run(of_tile, operands, interpret, tiles=1, rows=1)


def _run(
    of_tile: Callable[..., Made],
    operands: Operands,
    interpret: Any,
    *,
    tiles: int = 0,
    rows: int = 0,
    columns: int = 0,
) -> Any:
    """Runs `of_tile(z)`, or for tiles `of_tile(z, own, rows, columns)`, that makes so many."""
    n, m = operands.x.shape[0], operands.y.shape[1]
    line = plgpu.SMEM((TILE,), jnp.float32)
    scratch: Any = {
        "rows": plgpu.SMEM((operands.rows.shape[0], TILE), jnp.float32),
        "columns": plgpu.SMEM((operands.columns.shape[0], TILE), jnp.float32),
        "match": plgpu.SMEM((TILE,), jnp.int32),
        "made": Made(
            (plgpu.SMEM((TILE, TILE), jnp.bfloat16, transforms=_LINES),) * tiles,
            (line,) * rows,
            (line,) * columns,
        ),
        "arrived": plgpu.Barrier(num_arrivals=3),
    }
    kernel = plgpu.kernel(
        functools.partial(_block, of_tile),
        out_type=[
            *[jax.ShapeDtypeStruct((n, m), jnp.bfloat16)] * tiles,
            *[jax.ShapeDtypeStruct((m // TILE, n), jnp.float32)] * rows,
            *[jax.ShapeDtypeStruct((n // TILE, m), jnp.float32)] * columns,
        ],
        # Blocks that run together share columns: of those few, and of the rows all, are cached.
        grid=(m // TILE, n // TILE),
        grid_names=("column", "row"),
        scratch_types=scratch,
        compiler_params=plgpu.CompilerParams(
            approx_math=True, lowering_semantics=plgpu.LoweringSemantics.Warpgroup
        ),
        interpret=interpret,
    )
    return tuple(kernel(*operands))


def _block(
    of_tile: Callable[..., Made],
    *refs: Any,
    rows: Any,
    columns: Any,
    match: Any,
    made: Made,
    arrived: Any,
) -> None:
    """What one warpgroup does, with references to operands, results, and room for its tile."""
    operands, results = refs[: len(Operands._fields)], refs[len(Operands._fields) :]
    x, y, all_rows, all_columns, matches = operands
    i, j = lax.axis_index("row"), lax.axis_index("column")
    here, there = pl.ds(i * TILE, TILE), pl.ds(j * TILE, TILE)
    plgpu.copy_gmem_to_smem(all_rows.at[:, here], rows, arrived)
    plgpu.copy_gmem_to_smem(all_columns.at[:, there], columns, arrived)
    plgpu.copy_gmem_to_smem(matches.at[here], match, arrived)
    scores = pl.run_scoped(
        # A tile on its way out takes the room of a step.
        functools.partial(_product, x.at[here], y.at[:, there], 2 if made.tiles else 3),
        plgpu.WGMMAAccumulatorRef((TILE, TILE), jnp.float32),
    )
    plgpu.barrier_wait(arrived)
    z = scores * _spread(rows[0], 0) + _spread(rows[1], 0) + _spread(columns[0], 1)
    if made.tiles:
        column = lax.broadcasted_iota(jnp.int32, z.shape, 1)
        is_match = column == _spread(match[...] - j * TILE, 0)
        own = jnp.where(is_match, _spread(rows[2], 0), 0.0)
        more = [rows[k] for k in range(3, rows.shape[0])]
        values = of_tile(z, own, more, [columns[k] for k in range(1, columns.shape[0])])
    else:
        values = of_tile(z)
    stages = jax.tree.leaves(made)
    for value, stage in zip(jax.tree.leaves(values), stages, strict=True):
        stage[...] = value.astype(stage.dtype)
    plgpu.commit_smem()
    places = [(here, there)] * len(made.tiles)
    places += [(j, here)] * len(made.rows) + [(i, there)] * len(made.columns)
    for stage, result, place in zip(stages, results, places, strict=True):
        plgpu.copy_smem_to_gmem(stage, result.at[place])
    plgpu.wait_smem_to_gmem(0)


def _product(x: Any, y: Any, stages: int, accumulator: Any) -> Float32[Array, "t t"]:
    """The tile of X·Yᵀ, in steps along d of which `stages` are on their way or in use."""
    steps = x.shape[1] // STEP
    # The products of one step go on while those of the next are asked for.
    behind = 1 if steps > 1 else 0

    def step(_: Any, x_part: Any, y_part: Any) -> None:
        plgpu.wgmma(accumulator, x_part, y_part)
        plgpu.wgmma_wait(behind)

    spec = functools.partial(plgpu.BlockSpec, transforms=_LINES, delay_release=behind)
    plgpu.emit_pipeline(
        step,
        grid=(steps,),
        in_specs=[
            spec((TILE, STEP), lambda k: (0, k)),
            spec((STEP, TILE), lambda k: (k, 0)),
        ],
        max_concurrent_steps=min(stages, steps),
    )(x, y)
    return accumulator[...]


def _spread(vector: Float32[Array, "t"] | Int32[Array, "t"], axis: int) -> Array:
    """A number for each row (axis 0) or column (axis 1), over the whole tile."""
    return lax.broadcast_in_dim(vector, (TILE, TILE), (axis,))
