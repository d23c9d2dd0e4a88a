"""Principal components."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, moments
from crossmodal_jax.transforms._subspace import check_solver, column_signs, leading_eigenpairs
from crossmodal_jax.transforms._transform import Transform, affine, check_moments


class PCA(NamedTuple):
    """Parameters of `pca`.

    Attributes:
      mean: The mean of x, shape [d].
      components: Orthonormal columns, largest variance first, shape [d, k].
      variances: The variance along each component, shape [k].
      total_variance: The variance of all d columns together, a scalar.
    """

    mean: Float[Array, "d"]
    components: Float[Array, "d k"]
    variances: Float[Array, "k"]
    total_variance: Float[Array, ""]


def pca(*, dim: int, solver: str = "exact") -> Transform:
    """The `dim` orthogonal directions of largest variance.

    z = (x − x̄) V with S = V Λ Vᵀ, the covariance divided by n. Each column of V is signed so
    that its entry of largest magnitude is positive.

    `"exact"` decomposes S, O(d³): seconds for d = 2,000 on two cores. `"subspace"` finds the
    leading directions by iterating a block of 3/2 · dim + 8 random ones, O(d² · dim) and much
    faster when dim ≪ d. It is an approximation: each of its variances is at most the exact
    one, directions with nearly equal variances may be mixed, and the error of direction j
    falls with the twelfth power of λ_b/λ_j, b the size of the block. When that block is not
    smaller than d the two are the same.

    Args:
      dim: Number of components, 1 ≤ dim ≤ d.
      solver: `"exact"` or `"subspace"`.

    Returns:
      A `Transform` with parameters `PCA(mean, components, variances, total_variance)`.
      `apply` maps x [*batch, d] to z [*batch, dim], `inverse` maps z back to the nearest point
      of the fitted subspace. `fit(x, y=None, where=None)` ignores y, `solve` takes moments
      whose first modality is x.

    Raises:
      ValueError: If `dim` is out of range, `solver` is unknown, or a shape is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[3.0, 4.0], [-3.0, -4.0], [6.0, 8.0], [-6.0, -8.0]])
      >>> t = pca(dim=1)
      >>> params = t.fit(x)
      >>> print(jnp.round(t.apply(params, x), 3).ravel())
      [  5.  -5.  10. -10.]
      >>> print(jnp.allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-4))
      True

    References:
      Halko, Martinsson and Tropp, `Finding structure with randomness
      <https://arxiv.org/abs/0909.4061>`_, 2011, algorithm 4.4.
    """
    check_solver("pca", solver)

    def solve(state: JointMoments) -> PCA:
        check_moments("pca", state, 1)
        mean, s = state.means[0], covariance(state, 0, 0)
        _check_dim(dim, s.shape[0])
        variances, components = leading_eigenpairs(s, dim, solver)
        return PCA(mean, components * column_signs(components), variances, jnp.trace(s))

    def fit(
        x: Float[ArrayLike, "n d"],
        y: Float[ArrayLike, "n _"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> PCA:
        del y  # of the common interface; principal components have no target
        return solve(moments((x,), where=where))

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def _apply(params: PCA, x: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch k"]:
    return affine(check_width("pca", "x", x, params.mean.shape[0]), params.mean, params.components)


def _inverse(params: PCA, z: Float[ArrayLike, "*batch k"]) -> Float[Array, "*batch d"]:
    z = check_width("pca", "z", z, params.variances.shape[0])
    return affine(z, jnp.zeros_like(params.variances), params.components.T, params.mean)


def _check_dim(dim: int, width: int) -> None:
    if not 1 <= dim <= width:
        raise ValueError(
            f"pca: `dim` must be between 1 and the width of x, got dim={dim} for d={width}."
        )
