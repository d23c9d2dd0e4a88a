"""Standardisation by the rows of a fit, so that one set of defaults serves every unit."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike


class Scale(NamedTuple):
    """Where the columns of one side lie, and how far they spread.

    Attributes:
      mean: Mean of each column over the kept rows, shape [d].
      std: Standard deviation of each column, 1 where it is constant, shape [d].
    """

    mean: Float[Array, "d"]
    std: Float[Array, "d"]


def fit_scale(x: Float[ArrayLike, "*axes d"], keep: Bool[Array, "..."]) -> Scale:
    """Mean and standard deviation of the last axis over what is kept, float32 at least.

    `keep` has one entry per row, or one per token of each row: the leading axes of x.
    """
    x = jnp.asarray(x)
    x = x.astype(np.promote_types(x.dtype, np.float32))
    axes = tuple(range(x.ndim - 1))
    where = keep.reshape(*keep.shape, *(1,) * (x.ndim - keep.ndim))
    mean = numerics.masked_mean(x, where, axis=axes)
    variance = numerics.masked_var(x, where, axis=axes)
    # Rounding of the mean makes a constant column seem to vary.
    noise = jnp.square(8 * jnp.finfo(x.dtype).eps * mean)
    return Scale(mean, jnp.sqrt(jnp.where(variance > noise, variance, 1)))


def standardise(scale: Scale, x: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    """(x − mean) / std, at the precision of the scale or of x, whichever is higher."""
    x = jnp.asarray(x)
    dtype = np.promote_types(x.dtype, scale.mean.dtype)
    return (x.astype(dtype) - scale.mean.astype(dtype)) / scale.std.astype(dtype)


def restore(scale: Scale, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """mean + std · z, the inverse of `standardise`."""
    return scale.mean.astype(z.dtype) + scale.std.astype(z.dtype) * z
