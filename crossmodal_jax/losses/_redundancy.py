"""Losses of paired views without negatives: what keeps the units from saying all the same."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._rows import centred, matmul, paired_rows


def barlow_twins(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    weight: Float[ArrayLike, ""] | float = 5e-3,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, ""]:
    """Barlow Twins, one scalar for the whole batch.

    With C the correlations over the batch, Cₖₗ that of unit k of x and unit l of y, it is
    Σₖ (1 − Cₖₖ)² + weight · Σ_{k≠l} Cₖₗ². Units are standardised by their own mean and standard
    deviation, divisor n, without the eps of a batch normalisation. A dead unit, whose value is
    the same in all kept rows, has correlation 0 with all others and gradient 0.

    With 2n ≤ d the sum over k ≠ l is that of the products of Gram matrices, n × n, so that no
    d × d matrix is in memory.

    Args:
      x: Embeddings of the first view, shape [n, d].
      y: Embeddings of the second view, shape [n, d]; row i is the match of `x[i]`.
      weight: Weight λ ≥ 0 of the redundancy; may be traced.
      where: Rows to keep, shape [n].

    Returns:
      The loss, a scalar, float32 or float64. With fewer than two rows every unit is dead: it is
      d, with gradient 0.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], or `where` does not fit them.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
      >>> print(barlow_twins(x, 5 * x + 2), barlow_twins(x, x[:, ::-1], weight=0.5))
      0.0 3.0

    References:
      Zbontar et al., `Barlow Twins: Self-Supervised Learning via Redundancy Reduction
      <https://arxiv.org/abs/2103.03230>`_, 2021, Eq. 1.
    """
    (x, y), keep = paired_rows("barlow_twins", {"x": x, "y": y}, where)
    x, y = _standard(x, keep), _standard(y, keep)
    matches = jnp.sum(jnp.square(1 - jnp.sum(x * y, axis=0)))
    return matches + jnp.asarray(weight, x.dtype) * _off_diagonal_squares(x, y)


def vicreg(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    invariance: Float[ArrayLike, ""] | float = 25.0,
    variance: Float[ArrayLike, ""] | float = 25.0,
    covariance: Float[ArrayLike, ""] | float = 1.0,
    gamma: Float[ArrayLike, ""] | float = 1.0,
    eps: Float[ArrayLike, ""] | float = 1e-4,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, ""]:
    """Variance-invariance-covariance regularisation (VICReg), one scalar for the whole batch.

    It is invariance · I + variance · ½ (V(x) + V(y)) + covariance · (K(x) + K(y)) with
    I = mean (xᵢₖ − yᵢₖ)² over rows and units, V(z) = meanₖ max(0, γ − √(Var zₖ + ε)), and
    K(z) = 1/d Σ_{k≠l} Cov(zₖ, zₗ)². Variances and covariances are divided by n − 1. The half
    before V is that of the authors' code, where the paper has none.

    With 2n ≤ d the sum over k ≠ l is that of Gram matrices, n × n, so that no d × d matrix is in
    memory.

    Args:
      x: Embeddings of the first view, shape [n, d].
      y: Embeddings of the second view, shape [n, d]; row i is the match of `x[i]`.
      invariance: Weight of I; this and the following may be traced.
      variance: Weight of V.
      covariance: Weight of K.
      gamma: Standard deviation γ beyond which a unit costs nothing.
      eps: ε > 0, which bounds the gradient of a unit without variance.
      where: Rows to keep, shape [n].

    Returns:
      The loss, a scalar, float32 or float64. Of a single row, variances and covariances are 0;
      of none, I is too.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], or `where` does not fit them.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
      >>> print(f"{vicreg(x, x):.3f} {vicreg(x, -x):.3f}")
      0.000 100.000

    References:
      Bardes et al., `VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
      Learning <https://arxiv.org/abs/2105.04906>`_, 2022, section 4.1.
    """
    (x, y), keep = paired_rows("vicreg", {"x": x, "y": y}, where)
    invariance, variance, covariance, gamma, eps = (
        jnp.asarray(number, x.dtype) for number in (invariance, variance, covariance, gamma, eps)
    )
    num, width = jnp.sum(keep, dtype=x.dtype), x.shape[1]
    loss = invariance * jnp.sum(jnp.square(x - y)) / (jnp.maximum(num, 1) * width)
    for z in (centred(x, keep), centred(y, keep)):
        # Divided before they are multiplied, so that sums over many rows stay small.
        z /= jnp.sqrt(jnp.maximum(num - 1, 1))
        deviations = jnp.sqrt(jnp.sum(z * z, axis=0) + eps)
        loss += variance * jnp.mean(jnp.maximum(gamma - deviations, 0)) / 2
        loss += covariance * _off_diagonal_squares(z, z) / width
    return loss


def _standard(x: Float[Array, "n d"], keep: Bool[Array, "n"]) -> Float[Array, "n d"]:
    """Kept rows minus their mean with columns of length 1, or 0 where nothing varies."""
    largest = numerics.masked_max(x, keep[:, None], axis=0)
    smallest = numerics.masked_min(x, keep[:, None], axis=0)
    # What centring leaves of a constant is rounding; it must not be scaled up to length 1.
    return numerics.normalize(jnp.where(largest > smallest, centred(x, keep), 0), axis=0)


def _off_diagonal_squares(x: Float[Array, "n d"], y: Float[Array, "n d"]) -> Float[Array, ""]:
    """Σ_{k≠l} (XᵀY)ₖₗ² by products of the smaller size."""
    num, width = x.shape
    if 2 * num <= width:
        # ‖XᵀY‖² = ⟨XXᵀ, YYᵀ⟩, of which at so low a rank the diagonal is the smaller part: in all
        # but contrived cases the difference keeps its digits.
        diagonal = jnp.sum(x * y, axis=0)
        return jnp.sum(matmul(x, x.T) * matmul(y, y.T)) - jnp.sum(diagonal * diagonal)
    products = matmul(x.T, y)
    return jnp.sum(jnp.where(jnp.eye(width, dtype=bool), 0, products * products))
