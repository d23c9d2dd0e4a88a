"""Leading eigenvectors of a covariance."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_NUM_ITERATIONS = 6


def top_eigenpairs(
    s: Float[Array, "d d"], k: int, *, exact: bool
) -> tuple[Float[Array, "k"], Float[Array, "d k"]]:
    """The k largest eigenvalues of a symmetric positive S, descending, and their eigenvectors."""
    block = k + k // 2 + 8
    if exact or block >= s.shape[0]:
        values, vectors = jnp.linalg.eigh(s)
    else:
        basis = _leading_subspace(s, block)
        # Rayleigh-Ritz: the best eigenvectors within the subspace.
        inner = _matmul(basis.T, _matmul(s, basis))
        values, vectors = jnp.linalg.eigh((inner + inner.T) / 2)
        vectors = _matmul(basis, vectors)
    # Rounding may leave a variance of 0 below it.
    return jnp.maximum(values[::-1][:k], 0), vectors[:, ::-1][:, :k]


def _leading_subspace(s: Float[Array, "d d"], block: int) -> Float[Array, "d b"]:
    """Orthonormal basis of S^q Ω, by orthogonal iteration from a fixed random Ω."""
    start = jax.random.normal(jax.random.key(0), (s.shape[0], block), s.dtype)

    def iterate(_: Array, basis: Array) -> Array:
        return jnp.linalg.qr(_matmul(s, basis))[0]

    return jax.lax.fori_loop(0, _NUM_ITERATIONS, iterate, jnp.linalg.qr(start)[0])


def _matmul(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
