"""Singular value decomposition and polar factor with gradients that stay finite."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike


def polar_factor(a: Float[ArrayLike, "m n"], *, special: bool = False) -> Float[Array, "m n"]:
    """The matrix with orthonormal columns (or rows) nearest to A.

    With A = U Σ Vᵀ it is Q = U Vᵀ, the maximiser of tr(QᵀA): orthonormal columns if m ≥ n,
    orthonormal rows if m ≤ n. With `special` a square Q is the nearest rotation, of determinant
    +1: where det U · det V < 0 the direction of the smallest singular value is reversed.

    The derivative is exact, and finite where singular values repeat, because it divides by
    their sums only: with P = Uᵀ dA V,
    dQ = U ((P − Pᵀ)ᵢⱼ / (σᵢ + σⱼ)) Vᵀ + (I − U Uᵀ) dA V Σ⁻¹ Vᵀ for m ≥ n. Where a sum vanishes Q
    is not unique, and the derivative in that direction is taken as 0. Second derivatives are
    finite only where the singular values are distinct.

    Args:
      a: The matrix A, shape [m, n].
      special: Whether a square Q must have determinant +1. A rectangular one is always part of
        a rotation, so that this changes nothing.

    Returns:
      Q, shape [m, n].

    Examples:
      >>> import jax.numpy as jnp
      >>> print(jnp.abs(jnp.round(polar_factor(jnp.array([[0.0, 2.0], [5.0, 0.0]])), 3)))
      [[0. 1.]
       [1. 0.]]
    """
    a = jnp.asarray(a)
    special = special and a.shape[0] == a.shape[1]
    return _polar(a, special) if a.shape[0] >= a.shape[1] else _polar(a.T, special).T


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _polar(a: Array, special: bool) -> Array:
    u, _, v = _signed_svd(a, special)
    return _matmul(u, v.T)


@_polar.defjvp
def _polar_jvp(special: bool, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (a,), (da,) = primals, tangents
    u, s, v = _signed_svd(a, special)
    right = _matmul(da, v)
    p = _matmul(u.T, right)
    tolerance = _tolerance(a, s)
    tangent = _matmul(u, (p - p.T) * _reciprocal(s[:, None] + s, tolerance))
    if a.shape[0] > a.shape[1]:
        tangent += (right - _matmul(u, p)) * _reciprocal(s, tolerance)
    return _matmul(u, v.T), _matmul(tangent, v.T)


def _signed_svd(a: Array, special: bool) -> tuple[Array, Array, Array]:
    """U, σ and V of A = U diag(σ) Vᵀ; `special`: det U = det V, the last σ of either sign."""
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    if special:
        reflects = jnp.linalg.det(_matmul(u, vt)) < 0
        sign = jnp.where(reflects & (jnp.arange(s.shape[0]) == s.shape[0] - 1), -1, 1)
        u, s = u * sign.astype(u.dtype), s * sign.astype(s.dtype)
    return u, s, vt.T


def safe_svd(
    a: Float[ArrayLike, "m n"],
) -> tuple[Float[Array, "m k"], Float[Array, "k"], Float[Array, "n k"]]:
    """Singular value decomposition A = U diag(σ) Vᵀ with a derivative that is always finite.

    The derivatives of U and V divide by σⱼ − σᵢ. Where two singular values are equal only the
    space that their vectors span depends on A smoothly, not the vectors; such a term is taken
    as 0 here, for |σⱼ − σᵢ| ≤ √eps · σ₁. The gradient of a function of whole spans, such as the
    projection U Uᵀ, U Vᵀ or the sum of σ, is therefore exact at repeated values too. That of
    any other function, such as U f(σ) Uᵀ, is exact at distinct values and finite at repeated
    ones. Terms that divide by a singular value of 0 are 0 likewise.

    Args:
      a: The matrix A, shape [m, n].

    Returns:
      U [m, k], σ [k] descending, and V [n, k] with k = min(m, n).

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> print(jax.grad(lambda a: jnp.sum(safe_svd(a)[1]))(jnp.eye(2)))
      [[1. 0.]
       [0. 1.]]
    """
    return _svd(jnp.asarray(a))


@jax.custom_jvp
def _svd(a: Array) -> tuple[Array, Array, Array]:
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    return u, s, vt.T


@_svd.defjvp
def _svd_jvp(
    primals: tuple[Array], tangents: tuple[Array]
) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    (a,), (da,) = primals, tangents
    u, s, v = _svd(a)
    p = _matmul(u.T, _matmul(da, v))
    tolerance = _tolerance(a, s)
    # Twice the mean and half the difference of the two rotations dU = U Ω, dV = V Ω'.
    close = float(jnp.finfo(s.dtype).eps) ** 0.5 * jnp.max(s)
    mean = (p + p.T) * _reciprocal(s - s[:, None], close) / 2
    difference = (p - p.T) * _reciprocal(s + s[:, None], tolerance) / 2
    du, dv = _matmul(u, mean + difference), _matmul(v, mean - difference)
    if a.shape[0] > a.shape[1]:
        du += (_matmul(da, v) - _matmul(u, p)) * _reciprocal(s, tolerance)
    if a.shape[0] < a.shape[1]:
        dv += (_matmul(da.T, u) - _matmul(v, p.T)) * _reciprocal(s, tolerance)
    return (u, s, v), (du, jnp.diagonal(p), dv)


def _tolerance(a: Array, s: Array) -> Array:
    """What rounding leaves of a singular value 0."""
    return float(jnp.finfo(s.dtype).eps) * max(a.shape) * jnp.max(jnp.abs(s))


def _reciprocal(x: Array, tolerance: Array) -> Array:
    far = jnp.abs(x) > tolerance
    return jnp.where(far, 1 / jnp.where(far, x, 1), 0)


def _matmul(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
