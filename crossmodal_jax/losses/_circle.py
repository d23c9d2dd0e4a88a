"""The circle loss."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._pairs import over_anchors


def circle_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"] | None = None,
    *,
    labels: Int[ArrayLike, "n"] | None = None,
    scale: Float[ArrayLike, ""] | float = 80.0,
    margin: Float[ArrayLike, ""] | float = 0.4,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, "n"]:
    """Circle loss of labelled pairs, one value per anchor.

    With sᵢⱼ = ⟨xᵢ, yⱼ⟩, which should be cosines, the positives Pᵢ of row i of x, which have its
    label, and its negatives Nᵢ, which have another, the loss is
    log(1 + Σ_{n∈Nᵢ} exp(γ αₙ (sᵢₙ − m)) · Σ_{p∈Pᵢ} exp(−γ αₚ (sᵢₚ − 1 + m))) with the weights
    αₙ = max(sᵢₙ + m, 0) and αₚ = max(1 + m − sᵢₚ, 0). So positives are to score above
    Δₚ = 1 − m, negatives below Δₙ = m. An anchor without a positive, or without a negative, has
    log(1 + 0) = 0.

    The weights are constants of the gradient, as in the paper: it is not the derivative of the
    value. Memory is linear in n, for the gradient too.

    Args:
      x: Anchors, shape [n, d].
      y: What they are compared with, shape [n, d]; None for the other rows of x.
      labels: Class of row i of x and of y, shape [n]; None, with y only, for the pairs of equal
        rows.
      scale: The scale γ; may be traced.
      margin: The relaxation m, between 0 and 1; may be traced.
      where: Rows to keep, shape [n]. A dropped row is no anchor, no positive *and* no negative.

    Returns:
      Loss per anchor, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], `labels` or `where` does not fit,
        or neither y nor labels are given.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
      >>> print(circle_loss(x, labels=jnp.array([0, 0, 1]), scale=10.0).round(3))
      [0.059 1.171 0.   ]

    References:
      Sun et al., `Circle Loss: A Unified Perspective of Pair Similarity Optimization
      <https://arxiv.org/abs/2002.10857>`_, 2020, Eq. 5 and 6.
    """

    def of_anchors(s: Array, positive: Array, negative: Array) -> Array:
        gamma, m = jnp.asarray(scale, s.dtype), jnp.asarray(margin, s.dtype)
        of_p, of_n = jax.lax.stop_gradient((jax.nn.relu(1 + m - s), jax.nn.relu(s + m)))
        attract = numerics.masked_logsumexp(gamma * of_p * (1 - m - s), positive)
        repel = numerics.masked_logsumexp(gamma * of_n * (s - m), negative)
        # log(1 + exp r) of the log-sum r, which is −inf where either is of nothing.
        return jax.nn.softplus(attract + repel)

    return over_anchors("circle_loss", of_anchors, x, y, labels=labels, where=where)
