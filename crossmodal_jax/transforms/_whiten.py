"""Whitening of one side."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_choice, check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, moments, polar_factor, safe_svd
from crossmodal_jax.transforms._subspace import column_signs
from crossmodal_jax.transforms._transform import (
    Transform,
    affine,
    check_moments,
    matmul,
    regularised,
)

_KINDS = ("zca", "pca", "cholesky")


class Whitening(NamedTuple):
    """Parameters of `whiten`.

    Attributes:
      mean: The mean of x, shape [d].
      kernel: The whitening matrix K, shape [d, d].
      inverse_kernel: K⁻¹, shape [d, d].
    """

    mean: Float[Array, "d"]
    kernel: Float[Array, "d d"]
    inverse_kernel: Float[Array, "d d"]


def whiten(*, kind: str = "zca", l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """Centres x and gives it the covariance I.

    z = (x − x̄) K with Kᵀ (S + λI) K = I, S the covariance divided by n and
    λ = l2 · tr(S)/d. K is known up to a rotation, which `kind` chooses, with S + λI = L Lᵀ:

    - `"zca"`: K = (S + λI)^(−½), symmetric; z is as near to x as a white z can be.
    - `"pca"`: K = V Λ^(−½) of S + λI = V Λ Vᵀ, largest variance first, each column signed so that
      its entry of largest magnitude is positive.
    - `"cholesky"`: K = L⁻ᵀ, upper triangular; column j depends on the first j columns of x.

    Gradients through the fit are exact, for `"pca"` only where the variances are distinct;
    where they repeat they are finite.

    Args:
      kind: `"zca"`, `"pca"` or `"cholesky"`.
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`. With l2 = 0 the rows of
        the fit become exactly white, unless S is singular.

    Returns:
      A `Transform` with parameters `Whitening`. `apply` maps x [*batch, d] to z [*batch, d],
      `inverse` maps back. `fit(x, y=None, where=None)` ignores y, `solve` takes moments whose
      first modality is x.

    Raises:
      ValueError: If `kind` is unknown, or a shape is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 5.0], [1.0, -5.0], [3.0, 5.0], [3.0, -5.0]])
      >>> t = whiten(l2=0.0)
      >>> print(jnp.rint(t.apply(t.fit(x), x)))
      [[-1.  1.]
       [-1. -1.]
       [ 1.  1.]
       [ 1. -1.]]
    """
    check_choice("whiten", "kind", kind, _KINDS)

    def solve(state: JointMoments) -> Whitening:
        check_moments("whiten", state, 1)
        kernel, inverse = whitening_pair(covariance(state, 0, 0), kind, l2)
        return Whitening(state.means[0], kernel, inverse)

    def fit(
        x: Float[ArrayLike, "n d"],
        y: Float[ArrayLike, "n _"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> Whitening:
        del y  # of the common interface; whitening has no target
        return solve(moments((x,), where=where))

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def whitening_pair(
    s: Float[Array, "d d"], kind: str, l2: Float[ArrayLike, ""] | float
) -> tuple[Float[Array, "d d"], Float[Array, "d d"]]:
    """K and K⁻¹ with Kᵀ (S + λI) K = I, by a rotation of the Cholesky factor: K = L⁻ᵀ R."""
    regular = regularised(s, l2)
    factor = jnp.linalg.cholesky((regular + regular.T) / 2)
    eye = jnp.eye(factor.shape[0], dtype=factor.dtype)
    inverse = jax.scipy.linalg.solve_triangular(factor, eye, lower=True)
    if kind == "cholesky":
        return inverse.T, factor.T
    if kind == "zca":
        # L = S^½ Q. Eigenvectors would have no gradient where eigenvalues repeat.
        rotation = polar_factor(factor).T
    else:
        u, _, rotation = safe_svd(factor)
        rotation = rotation * column_signs(u)
    return matmul(inverse.T, rotation), matmul(rotation.T, factor.T)


def _apply(params: Whitening, x: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    return affine(check_width("whiten", "x", x, params.mean.shape[0]), params.mean, params.kernel)


def _inverse(params: Whitening, z: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    z = check_width("whiten", "z", z, params.mean.shape[0])
    return affine(z, jnp.zeros_like(params.mean), params.inverse_kernel, params.mean)
