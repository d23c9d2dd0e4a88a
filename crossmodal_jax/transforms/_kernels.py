"""Positive definite kernels between rows, relative to the scale of the data."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import dot_scores, squared_distances

Kernel = Callable[[Array, Array], Array]
"""Maps rows [n, d] and [m, d] to the matrix [n, m] of their similarities k(xᵢ, yⱼ)."""


def linear_kernel() -> Kernel:
    """The kernel k(x, y) = ⟨x, y⟩ / d, whose functions are the linear ones.

    Returns:
      A function of rows x [n, d] and y [m, d] with result [n, m].

    Examples:
      >>> import jax.numpy as jnp
      >>> print(linear_kernel()(jnp.array([[2.0, 4.0]]), jnp.eye(2)))
      [[1. 2.]]
    """

    def kernel(x: Float[ArrayLike, "n d"], y: Float[ArrayLike, "m d"]) -> Float[Array, "n m"]:
        x = jnp.asarray(x)
        return dot_scores(x, jnp.asarray(y), precision="highest") / x.shape[-1]

    return kernel


def polynomial_kernel(*, degree: int = 2, offset: Float[ArrayLike, ""] | float = 1.0) -> Kernel:
    """The kernel k(x, y) = (⟨x, y⟩ / d + offset)^degree.

    Args:
      degree: The degree, an integer ≥ 1.
      offset: What is added, ≥ 0, which sets the weight of the lower degrees; may be traced.

    Returns:
      A function of rows x [n, d] and y [m, d] with result [n, m].

    Raises:
      ValueError: If the degree is below 1.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(polynomial_kernel(degree=2)(jnp.array([[2.0, 4.0]]), jnp.eye(2)))
      [[4. 9.]]
    """
    if degree < 1:
        raise ValueError(f"polynomial_kernel: `degree` must be at least 1, got {degree}.")
    linear = linear_kernel()
    return lambda x, y: (linear(x, y) + offset) ** degree


def rbf_kernel(*, gamma: Float[ArrayLike, ""] | float = 1.0) -> Kernel:
    """The Gaussian kernel k(x, y) = exp(−γ ‖x − y‖² / d), also called radial basis function.

    Rows of unit mean variance lie at a mean squared distance of 2d, so that γ = 1 suits them
    whatever their width; it is `gamma="scale"` of scikit-learn.

    Args:
      gamma: The rate γ > 0; may be traced.

    Returns:
      A function of rows x [n, d] and y [m, d] with result [n, m].

    Examples:
      >>> import jax.numpy as jnp
      >>> print(rbf_kernel()(jnp.zeros((1, 2)), jnp.array([[0.0, 0.0], [2.0, 0.0]])))
      [[1.         0.13533528]]
    """

    def kernel(x: Float[ArrayLike, "n d"], y: Float[ArrayLike, "m d"]) -> Float[Array, "n m"]:
        squares = squared_distances(x, y)
        return jnp.exp(-jnp.asarray(gamma, squares.dtype) / jnp.shape(x)[-1] * squares)

    return kernel
