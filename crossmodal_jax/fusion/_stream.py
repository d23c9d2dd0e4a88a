"""What operators with large temporaries share: a few rows at a time, and their product."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax.fusion._inputs import linear

# What one chunk of rows makes takes 16 to 32 MiB: enough rows for fast products, while the few
# copies that a gradient needs stay far below 256 MiB.
_CHUNK_BYTES = 2**25


def stream(
    function: Callable[[tuple[Array, ...]], Float[Array, "rows dim"]],
    xs: Sequence[Float[Array, "..."]],
    size: int,
) -> Float[Array, "*batch dim"]:
    """Returns `function(xs)`, computed in chunks of rows if there are many.

    `function` treats every row by itself and makes about `size` numbers on the way for each. They
    are made anew for the gradient, so that those of one chunk are all that ever exist.
    """
    batch = xs[0].shape[:-1]
    rows = math.prod(batch)
    # A power of two divides most batches, which then need no padding.
    fit = max(1, _CHUNK_BYTES // (size * max(4, xs[0].dtype.itemsize)))
    most = 2 ** (fit.bit_length() - 1)
    if rows <= most:
        return function(tuple(xs))
    num = -(-rows // most)
    chunk = -(-rows // num)

    def split(x: Array) -> Array:
        x = jnp.pad(x.reshape(rows, -1), ((0, num * chunk - rows), (0, 0)))
        # Every num-th row, not neighbours: a batch that is sharded over devices stays so.
        return x.reshape(chunk, num, -1).swapaxes(0, 1)

    # A loop keeps its iterations apart by itself, no barrier is needed.
    z = jax.lax.map(jax.checkpoint(function, prevent_cse=False), tuple(split(x) for x in xs))
    return z.swapaxes(0, 1).reshape(num * chunk, -1)[:rows].reshape(*batch, -1)


def bilinear_form(
    x: Float[Array, "*batch p"], y: Float[Array, "*batch q"], kernel: Float[Array, "p q dim"]
) -> Float[Array, "*batch dim"]:
    """Returns Σₐᵦ xₐ yᵦ K[a, b, :], accumulated in float32 at least.

    One product x·K makes q · dim numbers a row, and their sum weighted by y is the result. The
    p · q products xₐ yᵦ are never made.
    """
    partial = linear(x, kernel.reshape(kernel.shape[0], -1))
    partial = partial.reshape(*partial.shape[:-1], *kernel.shape[1:])
    return jnp.sum(y[..., None].astype(partial.dtype) * partial, axis=-2)
