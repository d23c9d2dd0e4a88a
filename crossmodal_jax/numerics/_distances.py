"""Scores and distances between every row of one matrix and every row of another."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike


def dot_scores(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    precision: jax.lax.PrecisionLike = None,
) -> Float[Array, "n m"]:
    """Dot products ⟨xᵢ, yⱼ⟩ of all pairs of rows, accumulated in float32 at least.

    Args:
      x: Rows of the first side, shape [n, d].
      y: Rows of the second side, shape [m, d], in the dtype of `x`.
      precision: Precision of the product, as in `jax.lax.dot`; `"highest"` avoids the
        shortened float32 of recent accelerators.

    Returns:
      The scores, shape [n, m], float32 or float64.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(dot_scores(jnp.array([[1.0, 2.0]]), jnp.eye(2)))
      [[1. 2.]]
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    return jax.lax.dot_general(
        x,
        y,
        (((1,), (1,)), ((), ())),
        precision=precision,
        preferred_element_type=np.promote_types(x.dtype, jnp.float32),
    )


def squared_distances(
    x: Float[ArrayLike, "n d"], y: Float[ArrayLike, "m d"]
) -> Float[Array, "n m"]:
    """Squared Euclidean distances ‖xᵢ − yⱼ‖² of all pairs of rows, as one matrix product.

    Both sides are shifted by the mean of `y` first, which changes no distance and keeps the
    digits that ‖x‖² + ‖y‖² − 2⟨x, y⟩ would lose far from the origin; what rounding leaves
    below 0 is set to 0.

    Args:
      x: Rows of the first side, shape [n, d].
      y: Rows of the second side, shape [m, d], in the dtype of `x`.

    Returns:
      The squared distances, shape [n, m], float32 or float64.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(squared_distances(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0], [1.0, 0.0]])))
      [[25.  1.]]
    """
    dtype = np.promote_types(jnp.asarray(x).dtype, jnp.float32)
    x, y = jnp.asarray(x, dtype), jnp.asarray(y, dtype)
    centre = jax.lax.stop_gradient(jnp.mean(y, axis=0))
    x, y = x - centre, y - centre
    squares = jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)[None, :]
    return jnp.maximum(squares - 2 * dot_scores(x, y, precision="highest"), 0)
