"""Reduced-rank regression."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, inverse_cholesky
from crossmodal_jax.transforms._subspace import check_dim, column_signs, leading_singular
from crossmodal_jax.transforms._transform import (
    Transform,
    affine,
    check_moments,
    matmul,
    paired_moments,
    regularised,
    residual_covariance,
)


class ReducedRank(NamedTuple):
    """Parameters of `reduced_rank`.

    Attributes:
      mean: The mean of x, shape [dx].
      kernel: The coefficients W V of the k latent predictions, shape [dx, k].
      loadings: Orthonormal directions V of y, shape [dy, k].
      offset: The mean of y, shape [dy].
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
    """

    mean: Float[Array, "dx"]
    kernel: Float[Array, "dx k"]
    loadings: Float[Array, "dy k"]
    offset: Float[Array, "dy"]
    residual: Float[Array, "dy dy"]


def reduced_rank(*, dim: int, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """Linear regression whose coefficients have rank `dim` at most.

    T(x) = ȳ + (x − x̄) W V Vᵀ with W the coefficients of `ridge` and V the `dim` leading
    eigenvectors of S_yx (S_xx + λI)⁻¹ S_xy, for l2 = 0 the main directions of the fitted
    values. Of all coefficients of that rank these minimise Σ ‖y − T(x)‖² + λn ‖·‖²; with
    every dimension kept they are those of `ridge`.

    Args:
      dim: The rank, 1 ≤ dim ≤ min(dx, dy).
      l2: Relative penalty ≥ 0, as in `ridge`; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `ReducedRank`; it has no inverse. `fit` takes x [n, dx] and
      y [n, dy], `solve` the moments of (x, y), `apply` x [*batch, dx].

    Raises:
      ValueError: If `dim` is out of range, y is missing, the rows differ, or a width is not as
        fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
      >>> t = reduced_rank(dim=1, l2=0.0)
      >>> print(jnp.rint(t.apply(t.fit(x, 3 * x), jnp.array([1.0, 1.0]))))
      [3. 0.]

    References:
      Izenman, Reduced-Rank Regression for the Multivariate Linear Model, 1975.
    """

    def solve(moments: JointMoments) -> ReducedRank:
        check_moments("reduced_rank", moments, 2)
        cross = covariance(moments, 0, 1)
        check_dim("reduced_rank", dim, *cross.shape)
        whiten = inverse_cholesky(regularised(covariance(moments, 0, 0), l2))
        whitened = matmul(whiten, cross)
        loadings = leading_singular(whitened, dim, "exact")[2]
        loadings = loadings * column_signs(loadings)
        kernel = matmul(whiten.T, matmul(whitened, loadings))
        mean, offset = moments.means[:2]
        residual = residual_covariance(moments, matmul(kernel, loadings.T))
        return ReducedRank(mean, kernel, loadings, offset, residual)

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> ReducedRank:
        return solve(paired_moments("reduced_rank", x, y, where))

    return Transform(fit=fit, apply=_apply, inverse=None, solve=solve)


def _apply(params: ReducedRank, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
    x = check_width("reduced_rank", "x", x, params.mean.shape[0])
    latent = affine(x, params.mean, params.kernel)
    return affine(latent, jnp.zeros_like(params.kernel[0]), params.loadings.T, params.offset)
