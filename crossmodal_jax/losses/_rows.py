"""What losses of whole sets of rows begin with: checks, dropped rows 0, float32 at least."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_pairs, check_where
from crossmodal_jax._typing import ArrayLike, PyTree
from crossmodal_jax.losses._clean import common_dtype


def paired_rows(
    name: str, arrays: Mapping[str, ArrayLike], where: ArrayLike | None, *, one_width: bool = True
) -> tuple[tuple[Float[Array, "n _"], ...], Bool[Array, "n"]]:
    """Returns the named arrays, of which row i is one sample, with dropped rows 0, and the mask."""
    xs = check_pairs(name, **arrays)
    if one_width and len({x.shape for x in xs}) > 1:
        names = " and ".join(f"`{key}`" for key in arrays)
        shapes = " and ".join(f"{key}.shape={x.shape}" for key, x in zip(arrays, xs, strict=True))
        raise ValueError(
            f"{name}: {names} must share one shape [n, d], got {shapes}; project all to one width."
        )
    keep = check_where(name, where, xs[0].shape[:1])
    return tuple(_clean(x, keep, common_dtype(*xs)) for x in xs), keep


def unpaired_rows(
    name: str, x: ArrayLike, y: ArrayLike, where: ArrayLike | None, where_y: ArrayLike | None
) -> tuple[Float[Array, "n d"], Float[Array, "m d"], Bool[Array, "n"], Bool[Array, "m"]]:
    """Returns two sets of rows of one width, with dropped rows 0, and their masks."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{name}: `x` and `y` must be matrices [n, d] and [m, d] of one width, got "
            f"x.shape={x.shape} and y.shape={y.shape}; map both into one space first."
        )
    keep_x = check_where(name, where, x.shape[:1])
    keep_y = check_where(name, where_y, y.shape[:1], argument="where_y")
    dtype = common_dtype(x, y)
    return _clean(x, keep_x, dtype), _clean(y, keep_y, dtype), keep_x, keep_y


def centred(x: Float[Array, "n d"], keep: Bool[Array, "n"]) -> Float[Array, "n d"]:
    """Kept rows minus their mean; dropped rows 0."""
    # Twice: what rounding took from the mean is the mean of what is left. Without a barrier a
    # compiler may take the means together before it subtracts.
    for _ in range(2):
        mean = jax.lax.optimization_barrier(numerics.masked_mean(x, keep[:, None], axis=0))
        x = numerics.zero_absent(x - mean, keep)
    return x


def near_origin(*sets: tuple[Array, Array]) -> list[Array]:
    """Kept rows minus a constant close to the mean of all, which changes no distance.

    A set is an array [n, d] and its mask [n].
    """
    totals = [numerics.masked_sum(x, keep[:, None], axis=0) for x, keep in sets]
    count = sum(jnp.sum(keep, dtype=x.dtype) for x, keep in sets)
    mean = jax.lax.stop_gradient(sum(totals) / jnp.maximum(count, 1))
    return [numerics.zero_absent(x - mean, keep) for x, keep in sets]


def squared_distances(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """‖xᵢ − yⱼ‖² for rows near the origin, where they are exact to more digits.

    `numerics.squared_distances` would shift them once more. A compiler that takes two shifts for
    one rounds x and y differently, which far from the origin costs what the shift has gained.
    """
    products = numerics.dot_scores(x, y, precision="highest")
    squares = jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)
    return jnp.maximum(squares - 2 * products, 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def symmetric(function: Callable[..., Array], rows: PyTree, *rest: PyTree) -> Array:
    """`function(rows, rows, *rest)`, which does not change when the first two are exchanged.

    Their slopes are the same, so that only those of the first are computed, which in slabs of rows
    need no sums as large as the set. The function closes over no array.
    """
    return function(rows, rows, *rest)


@symmetric.defjvp
def _symmetric_jvp(function: Callable[..., Array], primals: Any, tangents: Any) -> Any:
    (columns, *rest), (d_rows, *d_rest) = primals, tangents
    twice = jax.tree.map(lambda d: 2 * d, d_rows)

    def of_rows(rows: PyTree, *rest: PyTree) -> Array:
        return function(rows, columns, *rest)

    return jax.jvp(of_rows, (columns, *rest), (twice, *d_rest))


def matmul(a: Float[Array, "n d"], b: Float[Array, "d k"]) -> Float[Array, "n k"]:
    """A product of whole float32 or float64 numbers on every device."""
    return jnp.matmul(a, b, precision="highest")


def _clean(x: Array, keep: Array, dtype: np.dtype) -> Array:
    return numerics.zero_absent(x, keep).astype(dtype)
