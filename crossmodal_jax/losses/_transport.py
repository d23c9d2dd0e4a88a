"""Optimal transport between two sets of rows as a loss."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._rows import unpaired_rows


def sinkhorn_divergence(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    epsilon: Float[ArrayLike, ""] | float,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
    max_iterations: int = 2000,
    tolerance: Float[ArrayLike, ""] | float = 1e-3,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, ""]:
    """Sinkhorn divergence of two sets of rows without pairs, one scalar.

    It is OT_ε(x, y) − ½ OT_ε(x, x) − ½ OT_ε(y, y), where OT_ε is the minimum over the plans P
    with uniform marginals a and b of Σᵢⱼ Pᵢⱼ‖xᵢ − yⱼ‖² + ε KL(P ‖ abᵀ). Up to the tolerance of
    the iterations it is at least 0, and 0 only if both sets are the same distribution. With ε → 0
    it becomes the squared Wasserstein distance, with ε → ∞ the squared distance of the means.

    The gradient is that of the envelope theorem, of first order only: see `kernels.sinkhorn`.

    Args:
      x: Rows of the first set, shape [n, d].
      y: Rows of the second set, shape [m, d]; they need not correspond to those of x.
      epsilon: Strength ε > 0 of the entropy, in the unit of ‖x − y‖²; may be traced. A tenth of
        the mean squared distance between rows is a start.
      where: Rows of x to keep, shape [n].
      where_y: Rows of y to keep, shape [m].
      max_iterations: As for `kernels.sinkhorn`, which runs three times.
      tolerance: As for `kernels.sinkhorn`.
      implementation: As for `kernels.sinkhorn`.

    Returns:
      The loss, a scalar, float32 or float64; 0 if nothing is kept of a set.

    Raises:
      ValueError: If x and y are not matrices of one width, a mask does not fit them,
        `max_iterations` is below 1, or `implementation` is unknown.
      TypeError: If a mask is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([[2.0], [3.0], [2.0], [3.0]])
      >>> print(sinkhorn_divergence(x, y, epsilon=0.1).round(3))
      4.0

    References:
      Feydy et al., `Interpolating between Optimal Transport and MMD using Sinkhorn Divergences
      <https://arxiv.org/abs/1810.08278>`_, 2019.
    """
    x, y, keep_x, keep_y = unpaired_rows("sinkhorn_divergence", x, y, where, where_y)

    def cost(x: Array, y: Array, keep_x: Array, keep_y: Array) -> Float[Array, ""]:
        return kernels.sinkhorn(
            x,
            y,
            epsilon=epsilon,
            where=keep_x,
            where_y=keep_y,
            max_iterations=max_iterations,
            tolerance=tolerance,
            implementation=implementation,
        ).value

    own = cost(x, x, keep_x, keep_x) + cost(y, y, keep_y, keep_y)
    both = jnp.any(keep_x) & jnp.any(keep_y)
    return jnp.where(both, cost(x, y, keep_x, keep_y) - own / 2, 0)
