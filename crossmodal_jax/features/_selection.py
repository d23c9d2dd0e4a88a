"""Choosing the features worth keeping."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import _checks, numerics
from crossmodal_jax._typing import ArrayLike


class Selection(NamedTuple):
    """Statistics of `fit_selection`.

    Attributes:
      indices: Chosen columns in ascending order, shape [k].
      scores: Criterion of every column, shape [d].
    """

    indices: Int[Array, "k"]
    scores: Float[Array, "d"]


def fit_selection(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n p"] | None = None,
    *,
    k: int,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Selection:
    """The k columns of x with the highest score.

    With targets the score of column j is the mean over the targets of the squared
    correlation, (1/p) Σ_c corr(xⱼ, y_c)²: the share of variance of the (standardised)
    targets that the column explains alone, between 0 and 1. Without targets it is the
    variance. A column that is constant up to rounding scores 0 and counts as a target that
    nothing explains. Equal scores: the lower index wins.

    Args:
      x: Features, shape [n, d].
      y: Targets, shape [n, p]; row i belongs to `x[i]`.
      k: Number of columns to choose, 1 ≤ k ≤ d.
      where: Rows to keep, shape [n].

    Returns:
      `Selection(indices, scores)`: the chosen columns [k] in ascending order, and the
      score of all columns [d]. A column that is not finite scores −inf and is chosen last.

    Raises:
      ValueError: If `x` is not [n, d], `y` or `where` does not have its n rows, or `k` is
        out of range.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[0.0, 1.0, 5.0], [2.0, 1.0, 7.0], [4.0, 1.0, 5.0]])
      >>> print(fit_selection(x, k=1).indices)
      [0]
      >>> print(fit_selection(x, jnp.array([[0.0], [1.0], [0.0]]), k=1).indices)
      [2]
    """
    x = jnp.asarray(x)
    if x.ndim != 2 or not 1 <= k <= x.shape[1]:
        raise ValueError(
            "fit_selection: `x` must be [n, d] and `k` between 1 and d, got "
            f"x.shape={x.shape} and k={k}."
        )
    keep = _checks.check_where("fit_selection", where, x.shape[:1])
    finite = jnp.all(jnp.isfinite(numerics.zero_absent(x, keep)), axis=0)
    x = _centered(x, keep)
    if y is None:
        score = numerics.masked_mean(jnp.square(x), keep[:, None], axis=0)
    else:
        y = jnp.asarray(y)
        _checks.check_pairs("fit_selection", x=x, y=y)
        y = _centered(y, keep)
        dtype = jnp.promote_types(x.dtype, y.dtype)
        x, y = (numerics.normalize(z.astype(dtype), axis=0) for z in (x, y))
        score = jnp.mean(jnp.square(jnp.matmul(x.T, y, precision="highest")), axis=1)
    score = jnp.where(finite, score, -jnp.inf)  # top_k would rank NaN first
    return Selection(indices=jnp.sort(jax.lax.top_k(score, k)[1]), scores=score)


def _centered(x: Array, keep: Array) -> Array:
    """Kept rows minus their mean, 0 where dropped and in columns that are constant."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    x = numerics.zero_absent(x, keep)
    largest = jnp.max(jnp.abs(x), axis=0, initial=0)
    x = numerics.zero_absent(x - numerics.masked_mean(x, keep[:, None], axis=0), keep)
    # What is left of a constant is rounding, whose correlations mean nothing.
    constant = jnp.max(jnp.abs(x), axis=0, initial=0) <= 8 * jnp.finfo(x.dtype).eps * largest
    return jnp.where(constant, 0, x)


def select(params: Selection, x: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch k"]:
    """The chosen columns of `x`.

    Args:
      params: What `fit_selection` returned.
      x: Features, shape [*batch, d], with the d columns that were scored.

    Returns:
      Features, shape [*batch, k], in the order of the columns.

    Raises:
      ValueError: If the last axis of `x` is not the d that was scored.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[0.0, 1.0, 5.0], [2.0, 1.0, 7.0]])
      >>> print(select(fit_selection(x, k=2), x))
      [[0. 5.]
       [2. 7.]]
    """
    x = jnp.asarray(x)
    if x.shape[-1:] != params.scores.shape:
        raise ValueError(
            f"select: `x` must be [*batch, {params.scores.shape[0]}] as scored, got "
            f"x.shape={x.shape}."
        )
    return jnp.take(x, params.indices, axis=-1)
