"""Scores of predicted numbers."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_choice, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import masked_mean, masked_sum, zero_absent


def r2_score(
    predictions: Float[ArrayLike, "n *p"],
    targets: Float[ArrayLike, "n *p"],
    *,
    where: Bool[ArrayLike, "n"] | None = None,
    average: str = "uniform",
) -> Float[Array, ""]:
    """Coefficient of determination R², averaged over the outputs.

    Of output c, R²_c = 1 − Σᵢ (yᵢ_c − ŷᵢ_c)² / Σᵢ (yᵢ_c − ȳ_c)²: 1 is perfect, 0 is as good
    as the mean of the targets at hand, and there is no lower bound. `"uniform"` is the mean
    of R²_c; an output whose target is constant scores 1 if it is predicted exactly and else 0.
    `"variance"` weights R²_c by the variance of its target, so constant outputs have no
    weight: use it for pictures, many of whose pixels hardly vary.

    Args:
      predictions: ŷ, shape [n] or [n, p].
      targets: y, the same shape.
      where: Samples to keep, shape [n].
      average: `"uniform"` or `"variance"`.

    Returns:
      The score, a scalar in float32 at least. Where no target varies, both averages are the
      uniform one.

    Raises:
      ValueError: If the shapes differ or `average` is unknown.

    Examples:
      >>> import jax.numpy as jnp
      >>> targets = jnp.array([[1.0, 10.0], [3.0, 30.0]])
      >>> predictions = jnp.array([[2.0, 10.0], [2.0, 30.0]])
      >>> print(r2_score(predictions, targets), r2_score(predictions, targets, average="variance"))
      0.5 0.990099
    """
    check_choice("r2_score", "average", average, ("uniform", "variance"))
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    if predictions.shape != targets.shape or targets.ndim not in (1, 2):
        raise ValueError(
            "r2_score: `predictions` and `targets` must share one shape [n] or [n, p], got "
            f"predictions.shape={predictions.shape} and targets.shape={targets.shape}."
        )
    keep = check_where("r2_score", where, targets.shape[:1])
    dtype = np.promote_types(np.promote_types(predictions.dtype, targets.dtype), np.float32)
    predicted, actual = (
        zero_absent(z.astype(dtype), keep).reshape(z.shape[0], -1) for z in (predictions, targets)
    )
    column = keep[:, None]
    residual = masked_sum(jnp.square(actual - predicted), column, axis=0)
    centred = actual - masked_mean(actual, column, axis=0)
    # What rounding leaves of a constant is no variance.
    rounding = 8 * jnp.finfo(dtype).eps * jnp.max(jnp.abs(actual), axis=0, initial=0)
    varies = jnp.max(jnp.abs(zero_absent(centred, keep)), axis=0, initial=0) > rounding
    total = jnp.where(varies, masked_sum(jnp.square(centred), column, axis=0), 0)
    score = 1 - residual / jnp.where(varies, total, 1)
    score = jnp.where(varies, score, (residual == 0).astype(dtype))
    if average == "uniform":
        return jnp.mean(score)
    weight = jnp.where(jnp.any(varies), total, 1)
    # Weights of one scale: sums of squares of large numbers must not overflow.
    weight = weight / jnp.max(weight)
    return jnp.sum(weight * score) / jnp.sum(weight)
