"""Linear algebra with symmetric positive definite matrices."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike


def solve_psd(a: Float[ArrayLike, "d d"], b: Float[ArrayLike, "d k"]) -> Float[Array, "d k"]:
    """Solves A X = B for a symmetric positive definite A by its Cholesky factor.

    Args:
      a: The matrix A, shape [d, d]; its symmetric part is used.
      b: The right-hand sides B, shape [d, k].

    Returns:
      X, shape [d, k]; NaN if A is not positive definite to working precision, so add a ridge
      to matrices that may be singular.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(solve_psd(4 * jnp.eye(2), jnp.ones((2, 1))))
      [[0.25]
       [0.25]]
    """
    factor = jax.scipy.linalg.cho_factor(_symmetric(jnp.asarray(a)), lower=True)
    return jax.scipy.linalg.cho_solve(factor, jnp.asarray(b))


def inverse_cholesky(a: Float[ArrayLike, "d d"]) -> Float[Array, "d d"]:
    """Inverse L⁻¹ of the Cholesky factor of A = L Lᵀ, so that L⁻¹ A L⁻ᵀ = I.

    It whitens: rows x with covariance A become x L⁻ᵀ with covariance I.

    Args:
      a: A symmetric positive definite matrix, shape [d, d]; its symmetric part is used.

    Returns:
      L⁻¹, lower triangular, shape [d, d]; NaN if A is not positive definite to working
      precision.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(inverse_cholesky(4 * jnp.eye(2)))
      [[0.5 0. ]
       [0.  0.5]]
    """
    factor = jnp.linalg.cholesky(_symmetric(jnp.asarray(a)))
    eye = jnp.eye(factor.shape[0], dtype=factor.dtype)
    return jax.scipy.linalg.solve_triangular(factor, eye, lower=True)


def _symmetric(a: Array) -> Array:
    return (a + a.T) / 2
