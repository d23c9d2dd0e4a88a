"""Standardisation of columns: mean 0, standard deviation 1, over the kept rows only."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike


class Standardization(NamedTuple):
    """Mean and scale of each column, from `fit_standardization`.

    Attributes:
      mean: Mean of each column, shape [d].
      scale: Standard deviation of each column, 1 for a constant one, shape [d].
    """

    mean: Float[Array, "d"]
    scale: Float[Array, "d"]


def fit_standardization(
    x: Float[ArrayLike, "n d"], where: Bool[ArrayLike, "..."] | None = None
) -> Standardization:
    """Fits the mean and the standard deviation of each column.

    With kept rows K the mean is μ = Σ_{i∈K} xᵢ / |K| and the scale σ = √(Σ_{i∈K} (xᵢ − μ)² / |K|).
    A column that is constant up to rounding, or of which nothing is kept, has scale 1: it is
    centred and otherwise left alone.

    Args:
      x: Data, shape [n, d]. Fit on the training rows only.
      where: Rows [n] or entries [n, d] to keep; None keeps all. What a dropped entry holds, NaN
        included, changes nothing.

    Returns:
      The parameters, of shape [d] each, float32 at least.

    Raises:
      ValueError: If `x` is no matrix, or `where` is neither [n] nor [n, d].

    Examples:
      >>> import jax.numpy as jnp
      >>> params = fit_standardization(jnp.array([[0.0, 5.0], [2.0, 5.0]]))
      >>> print(params.mean, params.scale)
      [1. 5.] [1. 1.]
    """
    x = _as_float32_at_least(x)
    if x.ndim != 2:
        raise ValueError(
            f"fit_standardization: `x` must be a matrix [n, d], got x.shape={x.shape}; "
            "flatten the other axes."
        )
    keep = _entries("fit_standardization", where, x)
    # Squares of 1e30 overflow; the scale of a scaled column is exact and of moderate size.
    peak = numerics.masked_max(jnp.abs(jnp.where(keep, x, 0)), keep, axis=0)
    peak = jax.lax.stop_gradient(jnp.where(peak > 0, peak, 1))
    scaled = jnp.where(keep, x, 0) / peak
    mean = numerics.masked_mean(scaled, keep, axis=0)
    variance = numerics.masked_var(scaled, keep, axis=0)
    # n equal numbers have a computed mean that is off by some ulp, hence a tiny variance.
    varies = variance > (10 * jnp.finfo(x.dtype).eps) ** 2
    scale = jnp.sqrt(jnp.where(varies, variance, 1))
    return Standardization(peak * mean, jnp.where(varies, peak * scale, 1))


def standardize(
    params: Standardization, x: Float[ArrayLike, "*batch d"]
) -> Float[Array, "*batch d"]:
    """Applies `fit_standardization` statistics: (x − μ) / σ.

    Args:
      params: Statistics of the columns.
      x: Data, shape [*batch, d].

    Returns:
      Standardised data, shape [*batch, d], float32 at least.

    Raises:
      ValueError: If the last axis of `x` is not that of the fit.

    Examples:
      >>> import jax.numpy as jnp
      >>> params = Standardization(mean=jnp.array([1.0]), scale=jnp.array([2.0]))
      >>> print(standardize(params, jnp.array([[5.0]])))
      [[2.]]
    """
    x = _as_float32_at_least(x)
    _check_columns("standardize", params.mean, x)
    mean, scale = (p.astype(np.promote_types(p.dtype, x.dtype)) for p in params)
    return (x.astype(mean.dtype) - mean) / scale


def unstandardize(
    params: Standardization, x: Float[ArrayLike, "*batch d"]
) -> Float[Array, "*batch d"]:
    """Undoes `standardize`: σ·x + μ.

    Args:
      params: Statistics of the columns.
      x: Standardised data, shape [*batch, d].

    Returns:
      Data in its own units, shape [*batch, d], float32 at least.

    Raises:
      ValueError: If the last axis of `x` is not that of the fit.

    Examples:
      >>> import jax.numpy as jnp
      >>> params = Standardization(mean=jnp.array([1.0]), scale=jnp.array([2.0]))
      >>> print(unstandardize(params, jnp.array([[2.0]])))
      [[5.]]
    """
    x = _as_float32_at_least(x)
    _check_columns("unstandardize", params.mean, x)
    mean, scale = (p.astype(np.promote_types(p.dtype, x.dtype)) for p in params)
    return x.astype(mean.dtype) * scale + mean


def _as_float32_at_least(x: ArrayLike) -> Array:
    x = jnp.asarray(x)
    return x.astype(np.promote_types(x.dtype, np.float32))


def _entries(name: str, where: ArrayLike | None, x: Array) -> Bool[Array, "n d"]:
    if where is None:
        return jnp.ones(x.shape, bool)
    where = jnp.asarray(where)
    if where.dtype != jnp.bool_ or where.shape not in (x.shape, x.shape[:1]):
        raise ValueError(
            f"{name}: `where` must be boolean of shape [n] = {x.shape[:1]} or [n, d] = {x.shape}, "
            f"got where.shape={where.shape} of {where.dtype}; True = keep."
        )
    return jnp.broadcast_to(where if where.ndim == 2 else where[:, None], x.shape)


def _check_columns(name: str, fitted: Array, x: Array) -> None:
    if x.ndim < 1 or x.shape[-1:] != fitted.shape:
        raise ValueError(
            f"{name}: the last axis of `x` must be the {fitted.shape[0]} columns of the fit, got "
            f"x.shape={x.shape}; fit on the same columns."
        )
