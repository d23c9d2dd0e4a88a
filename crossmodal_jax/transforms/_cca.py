"""Canonical correlation analysis."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, inverse_cholesky
from crossmodal_jax.transforms._subspace import check_dim, check_solver, leading_singular
from crossmodal_jax.transforms._transform import (
    Transform,
    affine,
    check_moments,
    matmul,
    paired_moments,
    regularised,
    residual_covariance,
)


class CCA(NamedTuple):
    """Parameters of `cca`; the pairs hold what belongs to x and to y.

    Attributes:
      means: The means x̄ and ȳ, shapes [dx] and [dy].
      kernels: The directions W_x and W_y, shapes [dx, k] and [dy, k].
      loadings: The decoders S_xy W_y and S_yx W_x, shapes [dx, k] and [dy, k].
      correlations: The canonical correlations, descending, shape [k].
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
    """

    means: tuple[Float[Array, "dx"], Float[Array, "dy"]]
    kernels: tuple[Float[Array, "dx k"], Float[Array, "dy k"]]
    loadings: tuple[Float[Array, "dx k"], Float[Array, "dy k"]]
    correlations: Float[Array, "k"]
    residual: Float[Array, "dy dy"]


def cca(*, dim: int, l2: Float[ArrayLike, ""] | float = 1e-2, solver: str = "exact") -> Transform:
    """Pairs of directions in which x and y correlate most, and the regression through them.

    With S the covariances divided by n, λ_x = l2 · tr(S_xx)/dx and likewise λ_y (each penalty
    is relative to the mean variance of its side), L_x L_xᵀ = S_xx + λ_x I, and the singular
    value decomposition L_x⁻¹ S_xy L_y⁻ᵀ = U ρ Vᵀ: W_x = L_x⁻ᵀ U, W_y = L_y⁻ᵀ V, of which the
    `dim` leading columns are kept. ρ are the (regularised) canonical correlations.

    `apply` predicts y from x through the canonical space, T(x) = ȳ + (x − x̄) W_x (S_yx W_x)ᵀ.
    With every dimension kept this is `ridge` with the same l2; fewer make it a reduced-rank
    regression in the whitened metric of y. `inverse` is the same from y to x; it undoes
    `apply` where y determines x linearly and l2 → 0. For retrieval use `canonical_variates`.

    Gradients pass through a fit by the exact solver. Those of predictions, which depend on the
    canonical subspaces alone, are exact even where correlations repeat among the kept ones;
    those of single directions are then finite. See `numerics.safe_svd`.

    Args:
      dim: Number of canonical pairs, 1 ≤ dim ≤ min(dx, dy).
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`. In float32 keep it at
        1e-3 or above when there are fewer rows than columns.
      solver: `"exact"`, or `"subspace"` for the leading pairs by the iteration that `pca`
        describes, much faster when dim ≪ min(dx, dy); correlations are then at most the exact
        ones.

    Returns:
      A `Transform` with parameters `CCA`. `fit` takes x [n, dx] and y [n, dy], `solve` the
      moments of (x, y), `apply` x [*batch, dx], `inverse` y [*batch, dy].

    Raises:
      ValueError: If `dim` is out of range, `solver` is unknown, y is missing, the rows differ,
        or a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
      >>> t = cca(dim=2, l2=0.0)
      >>> params = t.fit(x, 5 * x[:, ::-1] + 2)
      >>> print(jnp.round(params.correlations, 3))
      [1. 1.]
      >>> print(jnp.rint(t.apply(params, jnp.array([2.0, 1.0]))))
      [ 7. 12.]

    References:
      Hotelling, Relations Between Two Sets of Variates, 1936. Vinod, Canonical Ridge and
      Econometrics of Joint Production, 1976.
    """
    check_solver("cca", solver)

    def solve(moments: JointMoments) -> CCA:
        return solve_cca(moments, dim, l2, solver)

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> CCA:
        return solve(paired_moments("cca", x, y, where))

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def solve_cca(
    moments: JointMoments, dim: int, l2: Float[ArrayLike, ""] | float, solver: str = "exact"
) -> CCA:
    """The `solve` of `cca`."""
    check_moments("cca", moments, 2)
    cross = covariance(moments, 0, 1)
    check_dim("cca", dim, *cross.shape)
    whiten_x = inverse_cholesky(regularised(covariance(moments, 0, 0), l2))
    whiten_y = inverse_cholesky(regularised(covariance(moments, 1, 1), l2))
    whitened = matmul(matmul(whiten_x, cross), whiten_y.T)
    u, rho, v = leading_singular(whitened, dim, solver)
    kernels = matmul(whiten_x.T, u), matmul(whiten_y.T, v)
    loadings = matmul(cross, kernels[1]), matmul(cross.T, kernels[0])
    residual = residual_covariance(moments, matmul(kernels[0], loadings[1].T))
    means = moments.means[0], moments.means[1]
    return CCA(means, kernels, loadings, jnp.minimum(rho, 1), residual)


def canonical_variates(
    params: CCA,
    x: Float[ArrayLike, "*batch d"],
    *,
    view: int = 0,
    power: Float[ArrayLike, ""] | float = 0.5,
) -> Float[Array, "*batch k"]:
    """Coordinates of one side in the space that `cca` makes both share, for retrieval.

    z = ρ^power ⊙ (x − x̄) W: variates that correlate little count little. Compare them by
    cosine. Power 0 gives the plain variates, of variance near 1.

    Args:
      params: What the `fit` of `cca` returned.
      x: Rows of side `view`, shape [*batch, d].
      view: 0 for the side called x in the fit, 1 for y.
      power: Exponent of the correlations.

    Returns:
      The variates, shape [*batch, k].

    Raises:
      ValueError: If `view` is neither 0 nor 1, or x has another width than that side.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0], [2.0], [3.0]])
      >>> params = cca(dim=1, l2=0.0).fit(x, -x)
      >>> zx, zy = canonical_variates(params, x), canonical_variates(params, -x, view=1)
      >>> print(jnp.allclose(zx, zy, atol=1e-5))
      True
    """
    if view not in (0, 1):
        raise ValueError(f"canonical_variates: `view` must be 0 (x) or 1 (y), got {view}.")
    mean, kernel, rho = params.means[view], params.kernels[view], params.correlations
    x = check_width("canonical_variates", "x", x, mean.shape[0])
    return affine(x, mean, kernel * rho ** jnp.asarray(power, rho.dtype))


def _apply(params: CCA, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
    return predict_side(params, check_width("cca", "x", x, params.means[0].shape[0]), 0)


def _inverse(params: CCA, y: Float[ArrayLike, "*batch dy"]) -> Float[Array, "*batch dx"]:
    return predict_side(params, check_width("cca", "y", y, params.means[1].shape[0]), 1)


def predict_side(params: Any, x: Array, view: int) -> Array:
    """Predicts the other side from side `view`, by its kernel and the loadings of the other."""
    other = 1 - view
    kernel = params.kernels[view]
    variates = affine(x, params.means[view], kernel)
    origin = jnp.zeros_like(kernel[0])
    return affine(variates, origin, params.loadings[other].T, params.means[other])
