"""Linear algebra with symmetric positive definite matrices."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics._norms import safe_divide


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


def sqrt_psd(a: Float[ArrayLike, "d d"]) -> Float[Array, "d d"]:
    """Square root of a symmetric positive semidefinite matrix, R R = A with R ≥ 0.

    With A = V Λ Vᵀ it is V Λ^½ Vᵀ; eigenvalues below 0 count as 0. Its derivative in direction
    D solves R X + X R = D: in the basis V the entries of D are divided by √λᵢ + √λⱼ, which repeated
    eigenvalues do not disturb, and where both are 0, and the root has no derivative, the
    result is 0. Derivatives of first order only: a second one differentiates V.

    Args:
      a: The matrix A, shape [d, d]; its symmetric part is used.

    Returns:
      R, symmetric, shape [d, d].

    Examples:
      >>> import jax.numpy as jnp
      >>> print(sqrt_psd(jnp.diag(jnp.array([4.0, 9.0]))))
      [[2. 0.]
       [0. 3.]]
    """
    return _sqrt_psd(jnp.asarray(a))


@jax.custom_jvp
def _sqrt_psd(a: Array) -> Array:
    return _root(a)[0]


@_sqrt_psd.defjvp
def _sqrt_psd_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    root, values, vectors = _root(primals[0])
    rotated = _product(vectors.T, _product(_symmetric(tangents[0]), vectors))
    rotated = safe_divide(rotated, values[:, None] + values)
    return root, _product(vectors, _product(rotated, vectors.T))


def _root(a: Array) -> tuple[Array, Array, Array]:
    """The square root of A, its eigenvalues, and the eigenvectors."""
    values, vectors = jnp.linalg.eigh(_symmetric(a))
    values = jnp.sqrt(jnp.maximum(values, 0))
    return _product(vectors * values, vectors.T), values, vectors


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")


def _symmetric(a: Array) -> Array:
    return (a + a.T) / 2
