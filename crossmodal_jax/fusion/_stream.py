"""What operators with large temporaries share: a few rows at a time, and their product."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from crossmodal_jax._typing import PyTree
from crossmodal_jax.fusion._factors import outer
from crossmodal_jax.fusion._inputs import linear

# What one chunk of rows makes takes 8 to 16 MiB: enough rows for fast products, while the few
# copies that a gradient needs stay in the cache of a processor and far below 256 MiB.
_CHUNK_BYTES = 2**24

Rows = Callable[[PyTree, tuple[Array, ...], Array], Array]


def stream(
    function: Rows,
    weights: PyTree,
    xs: Sequence[Float[Array, "..."]],
    mask: Bool[Array, "*batch m"],
    size: int,
) -> Float[Array, "*batch dim"]:
    """Returns `function(weights, xs, mask)`, computed in chunks of rows if there are many.

    `function` treats every row by itself and makes about `size` numbers on the way for each. They
    are made anew for the gradient, so that those of one chunk are all that ever exist: neither
    inputs, nor result, nor their cotangents are copied. A chunk cleans its own rows, for a clean
    copy of all of them would be as large as the inputs. Reverse mode only, where there are chunks.
    """
    batch = mask.shape[:-1]
    rows = math.prod(batch)
    fit = max(1, _CHUNK_BYTES // (size * max(4, xs[0].dtype.itemsize)))
    if rows <= fit:
        return function(weights, tuple(xs), mask)
    flat = [x.reshape(rows, x.shape[-1]) for x in (*xs, mask)]
    # Inside a `shard_map` the gradients of a device are those of its rows. This zero depends on
    # rows in name only; it makes the weights differ from device to device, in name only, and
    # the transpose of that adds the gradients up.
    zero = jnp.where(jnp.any(flat[0][:1] > 0), 0, 0)
    weights = jax.tree.map(lambda w: w + zero.astype(w.dtype), weights)
    chunks = _num_chunks(rows, fit)
    z: Any = _in_chunks(function, chunks, weights, tuple(flat[:-1]), flat[-1])
    return z.reshape(*batch, -1)


def bilinear_form(
    x: Float[Array, "*batch p"], y: Float[Array, "*batch q"], kernel: Float[Array, "p q dim"]
) -> Float[Array, "*batch dim"]:
    """Returns Σₐᵦ xₐ yᵦ K[a, b, :], accumulated in float32 at least.

    By way of the p · q products xₐ yᵦ of a row, or of the q · dim numbers x·K, the fewer of them.
    """
    size, _, dim = kernel.shape
    if size <= dim:
        return linear(outer((x, y)), kernel.reshape(-1, dim))
    # Twice as many numbers at most, in exchange for one product less.
    return _halves(x, y, kernel) if size <= 2 * dim else _by_halves(x, y, kernel)


@jax.custom_jvp
def _halves(
    x: Float[Array, "*batch p"], y: Float[Array, "*batch q"], kernel: Float[Array, "p q dim"]
) -> Float[Array, "*batch dim"]:
    """Returns the bilinear form by way of x·K."""
    return _by_halves(x, y, kernel)


@_halves.defjvp
def _halves_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    """The slopes of x and y come from one product, for which x·K is not made anew."""
    x, y, kernel = primals
    dx, dy, d_kernel = tangents
    d_outer = outer((dx, y)) + outer((x, dy))
    tangent = linear(d_outer, kernel.reshape(-1, kernel.shape[2]))
    return _by_halves(*primals), tangent + _by_halves(x, y, d_kernel)


def _by_halves(x: Array, y: Array, kernel: Array) -> Array:
    partial = linear(x, kernel.reshape(kernel.shape[0], -1))
    partial = partial.reshape(*partial.shape[:-1], *kernel.shape[1:])
    return jnp.sum(y[..., None].astype(partial.dtype) * partial, axis=-2)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _in_chunks(
    function: Rows, num: int, weights: PyTree, xs: tuple[Array, ...], mask: Array
) -> Array:
    def part(i: Any) -> Array:
        return function(weights, tuple(_take(x, i, num) for x in xs), _take(mask, i, num))

    # The first chunk by itself: it tells the loop what shape and type the result has.
    first = part(0)
    z = jnp.zeros((mask.shape[0], first.shape[-1]), first.dtype)
    return jax.lax.fori_loop(1, num, lambda i, z: _put(z, part(i), i, num), _put(z, first, 0, num))


def _forward(
    function: Rows, num: int, weights: PyTree, xs: tuple[Array, ...], mask: Array
) -> tuple[Array, Any]:
    return _in_chunks(function, num, weights, xs, mask), (weights, xs, mask)


def _backward(function: Rows, num: int, saved: Any, cotangent: Array) -> Any:
    weights, xs, mask = saved

    def pull(i: Any) -> tuple[PyTree, tuple[Array, ...]]:
        parts, keep = tuple(_take(x, i, num) for x in xs), _take(mask, i, num)
        _, pullback = jax.vjp(lambda weights, parts: function(weights, parts, keep), weights, parts)
        part = _take(cotangent, i, num)
        return pullback(jnp.where(_is_new(mask.shape[0], i, num), part, 0))

    def add(i: Any, slopes: Any) -> Any:
        of_weights, of_xs = slopes
        d_weights, d_parts = pull(i)
        of_weights = jax.tree.map(lambda a, b: a + b.astype(a.dtype), of_weights, d_weights)
        return of_weights, tuple(
            _put(slope, _take(slope, i, num) + part, i, num)
            for slope, part in zip(of_xs, d_parts, strict=True)
        )

    d_weights, d_parts = pull(0)
    # Many chunks add up: in float32 at least.
    start = jax.tree.map(lambda d: d.astype(np.promote_types(d.dtype, np.float32)), d_weights)
    empty = [jnp.zeros(x.shape, x.dtype) for x in xs]
    first = tuple(_put(x, part, 0, num) for x, part in zip(empty, d_parts, strict=True))
    of_weights, of_xs = jax.lax.fori_loop(1, num, add, (start, first))
    of_weights = jax.tree.map(lambda slope, w: slope.astype(w.dtype), of_weights, weights)
    return of_weights, of_xs, np.zeros(mask.shape, jax.dtypes.float0)


_in_chunks.defvjp(_forward, _backward)


def _num_chunks(rows: int, fit: int) -> int:
    """The smallest number of chunks of at most `fit` rows, or one near it that divides `rows`."""
    least = -(-rows // fit)
    return next((num for num in range(least, 4 * least + 1) if rows % num == 0), least)


def _take(x: Shaped[Array, "rows d"], i: Any, num: int) -> Shaped[Array, "chunk d"]:
    """Returns the rows of chunk i, without a copy of the others.

    Where chunks are even, chunk i is every num-th row from i, not neighbours: a batch that is
    sharded over devices then stays so. Else it is neighbours, and the last ones overlap others.
    """
    if x.shape[0] % num == 0:
        return jax.lax.dynamic_index_in_dim(_strided(x, num), i, axis=1, keepdims=False)
    start, chunk = _bounds(x.shape[0], i, num)
    return jax.lax.dynamic_slice_in_dim(x, start, chunk)


def _put(
    x: Shaped[Array, "rows d"], part: Shaped[Array, "chunk d"], i: Any, num: int
) -> Shaped[Array, "rows d"]:
    """Returns `x` with the rows of chunk i replaced."""
    if x.shape[0] % num == 0:
        updated = jax.lax.dynamic_update_index_in_dim(_strided(x, num), part, i, axis=1)
        return updated.reshape(x.shape)
    start, _ = _bounds(x.shape[0], i, num)
    return jax.lax.dynamic_update_slice_in_dim(x, part, start, axis=0)


def _is_new(rows: int, i: Any, num: int) -> Bool[Array, "chunk 1"] | bool:
    """Tells which rows of chunk i are in no chunk before it."""
    if rows % num == 0:
        return True
    start, chunk = _bounds(rows, i, num)
    return (start + jnp.arange(chunk) >= i * chunk)[:, None]


def _strided(x: Shaped[Array, "rows d"], num: int) -> Shaped[Array, "chunk num d"]:
    return x.reshape(-1, num, x.shape[-1])


def _bounds(rows: int, i: Any, num: int) -> tuple[Any, int]:
    chunk = -(-rows // num)
    return jnp.minimum(i * chunk, rows - chunk), chunk
