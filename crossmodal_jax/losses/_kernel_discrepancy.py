"""Discrepancy and dependence measured by Gaussian kernels, in memory linear in the rows."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels, numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._rows import (
    near_origin,
    paired_rows,
    squared_distances,
    symmetric,
    unpaired_rows,
)

# Of the mean squared distance, what 2σ² is by default.
_MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)


def mmd_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    bandwidths: Float[ArrayLike, "k"] | Sequence[float] | None = None,
    unbiased: bool = False,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
) -> Float[Array, ""]:
    """Squared maximum mean discrepancy (MMD²) of two sets of rows without pairs, one scalar.

    It is mean k(xᵢ, xⱼ) + mean k(yᵢ, yⱼ) − 2 mean k(xᵢ, yⱼ) with k(u, v) the sum over the
    bandwidths σ of exp(−‖u − v‖²/(2σ²)). The biased form, the default, takes all pairs and is
    never negative; the unbiased one leaves out i = j in the first two means.

    By default 2σ² is ¼, ½, 1, 2 and 4 times the mean squared distance between two rows of both
    sets together, a constant under differentiation: the loss then does not change with the scale
    of the embeddings, except in its gradient.

    Slabs of rows are compared with all others and computed again for the gradient, so that
    memory grows linearly with n and m for both.

    Args:
      x: Rows of the first set, shape [n, d].
      y: Rows of the second set, shape [m, d]; they need not correspond to those of x.
      bandwidths: The σ > 0, shape [k]; may be traced.
      unbiased: Whether a row is not compared with itself. A set of a single row is all the same.
      where: Rows of x to keep, shape [n].
      where_y: Rows of y to keep, shape [m].

    Returns:
      The loss, a scalar, float32 or float64; 0 if nothing is kept of a set.

    Raises:
      ValueError: If x and y are not matrices of one width, a mask does not fit them, or
        `bandwidths` is not a vector.
      TypeError: If a mask is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[0.0], [0.0], [0.0]]), jnp.array([[2.0]])
      >>> print(f"{mmd_loss(x, y, bandwidths=[1.0]):.4f}")  # 2 − 2 exp(−2)
      1.7293

    References:
      Gretton et al., A Kernel Two-Sample Test, Journal of Machine Learning Research 13, 2012,
      Eqs. 3 and 5.
    """
    x, y, keep_x, keep_y = unpaired_rows("mmd_loss", x, y, where, where_y)
    x, y = near_origin((x, keep_x), (y, keep_y))
    if bandwidths is None:
        mean = _mean_squared_distance((x, keep_x), (y, keep_y))
        rates = 1 / (jnp.asarray(_MULTIPLES, x.dtype) * mean)
    else:
        rates = _rate(bandwidths, x.dtype)
    if rates.ndim != 1:
        raise ValueError(
            f"mmd_loss: `bandwidths` must be a vector [k], got bandwidths.shape={rates.shape}; "
            "wrap a single one as [sigma]."
        )

    def within(z: Array, keep: Array) -> Float[Array, ""]:
        num = jnp.maximum(jnp.sum(keep, dtype=z.dtype), 2 if unbiased else 1)
        total = _pair_sum(z, z, keep, keep, rates, distinct=True)
        return total / num / (num - 1 if unbiased else num)

    num_x, num_y = jnp.sum(keep_x, dtype=x.dtype), jnp.sum(keep_y, dtype=x.dtype)
    across = _pair_sum(x, y, keep_x, keep_y, rates, distinct=False)
    across /= jnp.maximum(num_x, 1) * jnp.maximum(num_y, 1)
    loss = within(x, keep_x) + within(y, keep_y) - 2 * across
    return jnp.where((num_x > 0) & (num_y > 0), loss, 0)


def hsic_loss(
    x: Float[ArrayLike, "n dx"],
    y: Float[ArrayLike, "n dy"],
    *,
    bandwidth_x: Float[ArrayLike, ""] | float | None = None,
    bandwidth_y: Float[ArrayLike, ""] | float | None = None,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, ""]:
    """Hilbert–Schmidt independence criterion (HSIC): dependence of two sides, one scalar ≥ 0.

    It is tr(K H L H)/(n − 1)² with Kᵢⱼ = exp(−‖xᵢ − xⱼ‖²/(2σ²)), L likewise of y, and
    H = I − 11ᵀ/n: the biased estimate. Minimising it makes x and y independent; to make them
    depend on each other, minimise its negative.

    Slabs of rows are compared with all others and computed again for the gradient, so that
    memory grows linearly with n for both.

    Args:
      x: Rows of the first side, shape [n, dx].
      y: Rows of the second side, shape [n, dy]; row i is the match of `x[i]`.
      bandwidth_x: σ > 0 of the kernel of x; may be traced. None: 2σ² is the mean squared
        distance between two kept rows, a constant under differentiation.
      bandwidth_y: The same for y.
      where: Rows to keep, shape [n].

    Returns:
      The criterion, a scalar, float32 or float64; 0 with fewer than two rows.

    Raises:
      ValueError: If x and y are not matrices with the same rows, or `where` does not fit them.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0], [1.0], [-1.0], [-1.0]])
      >>> y = jnp.array([[1.0], [-1.0], [1.0], [-1.0]])
      >>> print(f"{hsic_loss(x, y):.4f} {hsic_loss(x, 3 * x):.4f}")
      0.0000 0.2682

    References:
      Gretton et al., Measuring Statistical Dependence with Hilbert–Schmidt Norms, Algorithmic
      Learning Theory, 2005, Eq. 9.
    """
    sides, keep = paired_rows("hsic_loss", {"x": x, "y": y}, where, one_width=False)
    x, y = (near_origin((z, keep))[0] for z in sides)
    rates = (
        1 / _mean_squared_distance((z, keep)) if width is None else _rate(width, z.dtype)
        for z, width in ((x, bandwidth_x), (y, bandwidth_y))
    )
    sides = tuple(jnp.sqrt(rate) * z for rate, z in zip(rates, (x, y), strict=True))
    num = jnp.maximum(jnp.sum(keep, dtype=x.dtype), 2)
    return symmetric(_centred_trace, sides, keep, num) / (num - 1) ** 2


def _centred_trace(
    rows: tuple[Array, Array], columns: tuple[Array, Array], keep: Bool[Array, "n"], num: Array
) -> Float[Array, ""]:
    """tr(K H L H) for Gaussian kernels K and L of rate 1 over `num` kept rows."""

    def of_rows(part: Any) -> tuple[Any, Any]:
        kept = part[1][:, None] & keep
        k, l = (
            jnp.where(kept, _kernel(squared_distances(some, side), 1), 0)
            for some, side in zip(part[0], columns, strict=True)
        )
        totals = [jnp.sum(kernel, axis=0) for kernel in (k, l)]
        return [jnp.sum(values, axis=1) for values in (k * l, k, l)], totals

    # Beside a slab of one kernel there are the other, and slopes of both.
    sums, totals = kernels.by_rows(of_rows, (rows, keep), num_columns=4 * keep.shape[0])
    products, k, l = sums
    # Twice the sum over i of kᵢlᵢ, as rows and as columns.
    crossed = jnp.sum(k * l) + jnp.sum(totals[0] * totals[1])
    return jnp.sum(products) - crossed / num + jnp.sum(k) / num * jnp.sum(l) / num


def _kernel(distances: Float[Array, "n m"], rate: Array | int) -> Float[Array, "n m"]:
    """exp(−rate ‖xᵢ − yⱼ‖²) − 1: what is wanted of a kernel does not change with a constant."""
    # A wide kernel differs from 1 by less than the digits of 1 can tell. As expm1 it would be
    # wrong: of the sum of expm1 of two multiples of an array XLA for CPU, in jax 0.10 and 0.12,
    # makes twice that of one.
    half = jnp.tanh(-rate / 2 * distances)
    return 2 * half / (1 - half)


def _pair_sum(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    keep_x: Bool[Array, "n"],
    keep_y: Bool[Array, "m"],
    rates: Float[Array, "k"],
    *,
    distinct: bool,
) -> Float[Array, ""]:
    """Σᵢⱼ k(xᵢ, yⱼ) − k(0, 0) over kept pairs, of different numbers if `distinct`."""
    columns = jnp.arange(y.shape[0])

    def of_rows(rows: tuple[Array, Array]) -> tuple[Array, None]:
        distances = squared_distances(rows[0], y)
        values = sum(_kernel(distances, rates[k]) for k in range(rates.shape[0]))
        kept = keep_y & (columns != rows[1][:, None]) if distinct else keep_y
        return jnp.sum(jnp.where(kept, values, 0), axis=1), None

    index = jnp.arange(x.shape[0])
    # Beside a slab of distances there are kernels of it.
    sums, _ = kernels.by_rows(of_rows, (x, index), num_columns=2 * y.shape[0])
    return jnp.sum(numerics.zero_absent(sums, keep_x))


def _mean_squared_distance(*sets: tuple[Array, Array]) -> Float[Array, ""]:
    """Mean of ‖xᵢ − xⱼ‖² over pairs of different rows near the origin, a constant; 1 if it is 0."""
    count = sum(jnp.sum(keep, dtype=x.dtype) for x, keep in sets)
    total = jax.lax.stop_gradient(sum(jnp.sum(x * x) for x, _ in sets))
    mean = 2 * total / jnp.maximum(count - 1, 1)
    return jnp.where(mean > 0, mean, 1)


def _rate(bandwidth: Any, dtype: jnp.dtype) -> Float[Array, "*k"]:
    bandwidth = jnp.asarray(bandwidth, dtype)
    return 1 / (2 * bandwidth * bandwidth)
