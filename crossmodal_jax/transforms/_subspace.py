"""Leading eigenvectors and singular vectors, exact or by orthogonal iteration."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax._checks import check_choice
from crossmodal_jax.numerics import inverse_cholesky, safe_divide, safe_svd
from crossmodal_jax.transforms._transform import matmul, regularised

_SOLVERS = ("exact", "subspace")
_NUM_ITERATIONS = 6


def check_solver(name: str, solver: str) -> None:
    """Raises if `solver` is none of those that `leading_eigenpairs` knows."""
    check_choice(name, "solver", solver, _SOLVERS)


def check_dim(name: str, dim: int, dx: int, dy: int) -> None:
    """Raises if there are no `dim` pairs of directions in widths dx and dy."""
    if not 1 <= dim <= min(dx, dy):
        raise ValueError(
            f"{name}: `dim` must be between 1 and the smaller width, got dim={dim} for dx={dx} "
            f"and dy={dy}."
        )


def column_signs(vectors: Float[Array, "d k"]) -> Float[Array, "k"]:
    """±1 per column, so that its entry of largest magnitude becomes positive."""
    rows = jnp.argmax(jnp.abs(vectors), axis=0)
    largest = jnp.take_along_axis(vectors, rows[None], axis=0)[0]
    return jnp.where(largest < 0, -1, 1).astype(vectors.dtype)


def leading_eigenpairs(
    s: Float[Array, "d d"], k: int, solver: str
) -> tuple[Float[Array, "k"], Float[Array, "d k"]]:
    """The k largest eigenvalues of a symmetric S ≥ 0, descending, and their eigenvectors."""
    block = k + k // 2 + 8
    if solver == "exact" or block >= s.shape[0]:
        values, vectors = jnp.linalg.eigh(s)
    else:
        basis = _leading_subspace(s, block)
        # Rayleigh-Ritz: the best eigenvectors within the subspace.
        inner = matmul(basis.T, matmul(s, basis))
        values, vectors = jnp.linalg.eigh((inner + inner.T) / 2)
        vectors = matmul(basis, vectors)
    # Rounding may leave a value of 0 below it.
    return jnp.maximum(values[::-1][:k], 0), vectors[:, ::-1][:, :k]


def leading_singular(
    t: Float[Array, "a b"], k: int, solver: str
) -> tuple[Float[Array, "a k"], Float[Array, "k"], Float[Array, "b k"]]:
    """The k largest singular values of T, descending, between their vectors."""
    if solver == "exact":
        u, values, v = safe_svd(t)
        return u[:, :k], values[:k], v[:, :k]
    if t.shape[0] < t.shape[1]:
        v, values, u = leading_singular(t.T, k, solver)
        return u, values, v
    squares, v = leading_eigenpairs(matmul(t.T, t), k, solver)
    values = jnp.sqrt(squares)
    # V diagonalises TᵀT within its span, so these columns are orthonormal, or 0 for a value 0.
    return safe_divide(matmul(t, v), values[None]), values, v


def _leading_subspace(s: Float[Array, "d d"], block: int) -> Float[Array, "d b"]:
    """Orthonormal basis of S^q Ω for a fixed random Ω."""

    def iterate(_: Array, basis: Array) -> Array:
        image = matmul(s, basis)
        # Dividing by the Cholesky factor of the Gram matrix keeps the span and the scale; a QR
        # decomposition does too, at ten times the cost.
        return matmul(image, inverse_cholesky(regularised(matmul(image.T, image), 0.0)).T)

    start = jax.random.normal(jax.random.key(0), (s.shape[0], block), s.dtype)
    return jnp.linalg.qr(jax.lax.fori_loop(0, _NUM_ITERATIONS, iterate, start))[0]
