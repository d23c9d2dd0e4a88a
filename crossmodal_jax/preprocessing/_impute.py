"""Imputation of missing entries by the mean of their column."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike


class Imputation(NamedTuple):
    """What fills each column, from `fit_imputation`.

    Attributes:
      fill: The value that stands for a missing entry of each column, shape [d].
    """

    fill: Float[Array, "d"]


def fit_imputation(x: Float[ArrayLike, "n d"], where: Bool[ArrayLike, "n d"]) -> Imputation:
    """Fits the mean of the entries that each column has.

    Args:
      x: Data, shape [n, d]. Fit on the training rows only.
      where: True where the entry is there, shape [n, d].

    Returns:
      The fill of each column, shape [d], float32 at least; 0 for a column without any entry.

    Raises:
      ValueError: If `x` and `where` are not two arrays of one shape [n, d].

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, jnp.nan], [3.0, 4.0]])
      >>> print(fit_imputation(x, ~jnp.isnan(x)).fill)
      [2. 4.]
    """
    x, where = jnp.asarray(x), jnp.asarray(where)
    if x.ndim != 2 or x.shape != where.shape:
        raise ValueError(
            "fit_imputation: `x` and `where` must share one shape [n, d], got "
            f"x.shape={x.shape} and where.shape={where.shape}; give a mask entry per number."
        )
    x = x.astype(np.promote_types(x.dtype, np.float32))
    return Imputation(numerics.masked_mean(x, where, axis=0))


def impute(
    params: Imputation, x: Float[ArrayLike, "*batch d"], where: Bool[ArrayLike, "*batch d"]
) -> Float[Array, "*batch d"]:
    """Fills the missing entries; what they held, NaN included, changes no value and no gradient.

    Args:
      params: The fill of each column.
      x: Data, shape [*batch, d].
      where: True where the entry is there, shape [*batch, d].

    Returns:
      x where it is there, else the fill, shape [*batch, d], in the dtype of `x`.

    Raises:
      ValueError: If `x` and `where` have different shapes, or other columns than the fit.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([1.0, jnp.nan])
      >>> print(impute(Imputation(jnp.array([2.0, 4.0])), x, ~jnp.isnan(x)))
      [1. 4.]
    """
    x, where = jnp.asarray(x), jnp.asarray(where)
    if x.shape != where.shape or x.shape[-1:] != params.fill.shape:
        raise ValueError(
            "impute: `x` and `where` must share one shape [*batch, d] with the columns of the "
            f"fit, got x.shape={x.shape}, where.shape={where.shape} and fill.shape="
            f"{params.fill.shape}; fit on the same columns."
        )
    return jnp.where(where, x, params.fill.astype(x.dtype))
