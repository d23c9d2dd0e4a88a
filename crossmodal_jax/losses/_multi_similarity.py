"""The multi-similarity loss."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._pairs import over_anchors


def multi_similarity_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"] | None = None,
    *,
    labels: Int[ArrayLike, "n"] | None = None,
    alpha: Float[ArrayLike, ""] | float = 2.0,
    beta: Float[ArrayLike, ""] | float = 50.0,
    threshold: Float[ArrayLike, ""] | float = 0.5,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, "n"]:
    """Multi-similarity loss, one value per anchor.

    With sᵢⱼ = ⟨xᵢ, yⱼ⟩, the positives Pᵢ of row i of x, which have its label, and its negatives Nᵢ,
    which have another, the loss is
    1/α · log(1 + Σ_{p∈Pᵢ} exp(−α (sᵢₚ − λ))) + 1/β · log(1 + Σ_{n∈Nᵢ} exp(β (sᵢₙ − λ))). A term
    without any positive, or negative, is log(1 + 0) = 0. All pairs count: the paper first drops
    those that are far from the border. Inputs are used as given: normalise first.

    Memory is linear in n, for the gradient too.

    Args:
      x: Anchors, shape [n, d].
      y: What they are compared with, shape [n, d]; None for the other rows of x.
      labels: Class of row i of x and of y, shape [n]; None, with y only, for the pairs of equal
        rows.
      alpha: The α > 0 of positives; may be traced.
      beta: The β > 0 of negatives; may be traced.
      threshold: The λ that separates them; may be traced. The paper gives 1, the code of its
        authors has 0.5.
      where: Rows to keep, shape [n]. A dropped row is no anchor, no positive *and* no negative.

    Returns:
      Loss per anchor, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], `labels` or `where` does not fit,
        or neither y nor labels are given.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
      >>> print(multi_similarity_loss(x, labels=jnp.array([0, 0, 1])).round(3))
      [0.157 0.157 0.   ]

    References:
      Wang et al., `Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning
      <https://arxiv.org/abs/1904.06627>`_, 2019, Eq. 15.
    """

    def of_anchors(s: Array, positive: Array, negative: Array) -> Array:
        a, b, middle = (jnp.asarray(v, s.dtype) for v in (alpha, beta, threshold))
        attract = numerics.masked_logsumexp(a * (middle - s), positive)
        repel = numerics.masked_logsumexp(b * (s - middle), negative)
        # log(1 + exp r) of the log-sum r, which is −inf of nothing.
        return jax.nn.softplus(attract) / a + jax.nn.softplus(repel) / b

    return over_anchors("multi_similarity_loss", of_anchors, x, y, labels=labels, where=where)
