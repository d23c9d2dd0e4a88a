"""Procrustes analysis: the rotation nearest to the data."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_choice, check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, polar_factor, safe_divide
from crossmodal_jax.transforms._transform import (
    Transform,
    affine,
    check_moments,
    matmul,
    paired_moments,
    residual_covariance,
)


class Procrustes(NamedTuple):
    """Parameters of `procrustes`.

    Attributes:
      mean: The mean of x, shape [dx].
      rotation: The semi-orthogonal Q, shape [dx, dy].
      scale: The factor s ≥ 0, a scalar; 1 unless `scaled`.
      offset: The mean of y, shape [dy].
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
    """

    mean: Float[Array, "dx"]
    rotation: Float[Array, "dx dy"]
    scale: Float[Array, ""]
    offset: Float[Array, "dy"]
    residual: Float[Array, "dy dy"]


def procrustes(*, kind: str = "orthogonal", scaled: bool = False) -> Transform:
    """The rigid motion that brings x nearest to y: translation, rotation, scale if wanted.

    T(x) = ȳ + s (x − x̄) Q with Q = U Vᵀ of S_xy = U Σ Vᵀ. Between sides of one width this
    minimises Σ ‖y − T(x)‖² over all Qᵀ Q = I; with kind `"special"` over rotations only, where
    the direction of the smallest singular value is reversed if det U · det V < 0. With `scaled`,
    s = max(0, tr(Qᵀ S_xy)) / tr(Qᵀ S_xx Q), else s = 1.

    Into a wider y (dx < dy) the rows of Q are orthonormal and the minimum is the same. Into a
    narrower one (dx > dy) its columns are, and Q Qᵀ ≠ I: the least-squares problem then has no
    closed form, and this Q minimises Σ ‖(x − x̄) − (y − ȳ) Qᵀ‖² instead; it is what the best
    rotation of x onto y padded with zeros does to the columns that are not padding. A
    rectangular Q is part of a rotation, so that both kinds agree.

    `inverse` is x̂ = x̄ + (y − ȳ) Qᵀ / s. It undoes `apply` for dx ≤ dy (the part of y that Q
    does not reach is dropped), and is undone by it for dx ≥ dy. At s = 0 it is x̄.

    Gradients pass through `fit` exactly, and stay finite where singular values repeat; see
    `numerics.polar_factor`.

    Args:
      kind: `"orthogonal"`, reflections allowed, or `"special"`, determinant +1.
      scaled: Whether s is fitted.

    Returns:
      A `Transform` with parameters `Procrustes`. `fit` takes x [n, dx] and y [n, dy], `solve`
      the moments of (x, y), `apply` x [*batch, dx], `inverse` y [*batch, dy].

    Raises:
      ValueError: If `kind` is unknown, y is missing, the rows differ, or a width is not as
        fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 1.0]])
      >>> t = procrustes(scaled=True)
      >>> params = t.fit(x, 5 + 3 * x[:, ::-1])
      >>> print(jnp.rint(t.apply(params, jnp.array([1.0, 2.0]))))
      [11.  8.]
      >>> print(jnp.rint(t.inverse(params, jnp.array([11.0, 8.0]))))
      [1. 2.]

    References:
      Schönemann, A Generalized Solution of the Orthogonal Procrustes Problem, 1966. Gower,
      Generalized Procrustes Analysis, 1975.
    """
    check_choice("procrustes", "kind", kind, ("orthogonal", "special"))

    def solve(moments: JointMoments) -> Procrustes:
        check_moments("procrustes", moments, 2)
        cross = covariance(moments, 0, 1)
        rotation = polar_factor(cross, special=kind == "special")
        scale = jnp.ones((), cross.dtype)
        if scaled:
            image = matmul(covariance(moments, 0, 0), rotation)
            # Only a rotation of one column cannot follow a negative correlation.
            scale = safe_divide(
                jnp.maximum(jnp.sum(rotation * cross), 0), jnp.sum(rotation * image)
            )
        residual = residual_covariance(moments, scale * rotation)
        return Procrustes(moments.means[0], rotation, scale, moments.means[1], residual)

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> Procrustes:
        return solve(paired_moments("procrustes", x, y, where))

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def _apply(params: Procrustes, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
    x = check_width("procrustes", "x", x, params.mean.shape[0])
    return affine(x, params.mean, params.scale * params.rotation, params.offset)


def _inverse(params: Procrustes, y: Float[ArrayLike, "*batch dy"]) -> Float[Array, "*batch dx"]:
    y = check_width("procrustes", "y", y, params.offset.shape[0])
    return affine(y, params.offset, safe_divide(params.rotation.T, params.scale), params.mean)
