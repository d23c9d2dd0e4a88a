"""The triplet loss of given triplets."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike


def triplet_loss(
    anchor: Float[ArrayLike, "*batch d"],
    positive: Float[ArrayLike, "*batch d"],
    negative: Float[ArrayLike, "*batch d"],
    *,
    margin: Float[ArrayLike, ""] | float = 1.0,
    p: float | int = 2,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Triplet loss, one value per triplet.

    The loss of a triplet is max(‖a − p‖ₚ − ‖a − n‖ₚ + α, 0) with ‖u‖ₚ = (Σₖ |uₖ|ᵖ)^{1/p}. FaceNet
    takes squares of Euclidean distances; here they are distances. The gradient of a distance 0
    is 0.

    Args:
      anchor: Anchors a, shape [*batch, d].
      positive: What belongs to them, shape [*batch, d].
      negative: What does not, shape [*batch, d].
      margin: The margin α; may be traced.
      p: Order of the norm, a number ≥ 1.
      where: Triplets to keep, shape [*batch].

    Returns:
      Loss per triplet, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the three do not share one shape [*batch, d], `p` is below 1 or infinite, or
        `where` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> a, p, n = jnp.zeros((1, 2)), jnp.array([[3.0, -4.0]]), jnp.array([[-1.0, 0.0]])
      >>> print(triplet_loss(a, p, n, margin=0.5), triplet_loss(a, p, n, margin=0.5, p=1))
      [4.5] [6.5]

    References:
      Schroff et al., `FaceNet: A Unified Embedding for Face Recognition and Clustering
      <https://arxiv.org/abs/1503.03832>`_, 2015, section 3.1.
    """
    sides = [jnp.asarray(z) for z in (anchor, positive, negative)]
    shapes = [z.shape for z in sides]
    if len(set(shapes)) > 1 or not shapes[0]:
        raise ValueError(
            "triplet_loss: `anchor`, `positive` and `negative` must share one shape [*batch, d], "
            f"got {shapes}; give each triplet a row in all of them."
        )
    if not 1 <= p < np.inf:
        raise ValueError(f"triplet_loss: `p` must be a number from 1 on, got {p}; 2 is Euclidean.")
    keep = check_where("triplet_loss", where, shapes[0][:-1])
    dtype = np.promote_types(np.result_type(*(z.dtype for z in sides)), jnp.float32)
    a, b, c = (numerics.zero_absent(z, keep).astype(dtype) for z in sides)
    loss = jax.nn.relu(_norm(a - b, p) - _norm(a - c, p) + jnp.asarray(margin, dtype))
    return numerics.zero_absent(loss, keep)


def _norm(x: Float[Array, "*batch d"], p: float | int) -> Float[Array, "*batch"]:
    """‖x‖ₚ = c · (Σ (|xₖ|/c)ᵖ)^{1/p} with c = max |xₖ|: no power overflows; gradient 0 at 0."""
    if p == 2:
        return numerics.safe_norm(x)
    size = jnp.abs(x)
    if p == 1:
        return jnp.sum(size, axis=-1)
    # Constant under differentiation: the norm does not depend on c.
    largest = jax.lax.stop_gradient(jnp.max(size, axis=-1, keepdims=True))
    some = largest > 0
    scale = jnp.where(some, largest, 1)
    total = jnp.sum((size / scale) ** p, axis=-1)
    root = jnp.where(some[..., 0], total, 1) ** (1 / p)
    return jnp.where(some[..., 0], scale[..., 0] * root, 0)
