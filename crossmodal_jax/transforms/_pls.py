"""Partial least squares, in its singular value form."""

from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, solve_psd
from crossmodal_jax.transforms._cca import predict_side
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


class PLS(NamedTuple):
    """Parameters of `pls`; the pairs hold what belongs to x and to y.

    Attributes:
      means: The means x̄ and ȳ, shapes [dx] and [dy].
      kernels: Orthonormal directions U and V, shapes [dx, k] and [dy, k].
      loadings: What predicts x from the scores of y, and y from those of x, shapes [dx, k] and
        [dy, k].
      covariances: The covariance of each pair of scores, descending, shape [k].
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
    """

    means: tuple[Float[Array, "dx"], Float[Array, "dy"]]
    kernels: tuple[Float[Array, "dx k"], Float[Array, "dy k"]]
    loadings: tuple[Float[Array, "dx k"], Float[Array, "dy k"]]
    covariances: Float[Array, "k"]
    residual: Float[Array, "dy dy"]


def pls(*, dim: int) -> Transform:
    """Pairs of directions of largest covariance, and least squares through their scores.

    S_xy = U Σ Vᵀ, of which the `dim` leading columns are kept; the scores of x are
    (x − x̄) U. Each column of U is signed so that its entry of largest magnitude is positive.
    Neither side is whitened: where `cca` looks for correlation this looks for covariance, and
    needs no penalty when there are fewer rows than columns.

    `apply` predicts y by the regression on the scores of x,
    T(x) = ȳ + (x − x̄) U (Uᵀ S_xx U)⁻¹ Uᵀ S_xy, which is least squares when all dx directions
    are kept. `inverse` is the same from y to x.

    Args:
      dim: Number of pairs, 1 ≤ dim ≤ min(dx, dy).

    Returns:
      A `Transform` with parameters `PLS`. `fit` takes x [n, dx] and y [n, dy], `solve` the
      moments of (x, y), `apply` x [*batch, dx], `inverse` y [*batch, dy].

    Raises:
      ValueError: If `dim` is out of range, y is missing, the rows differ, or a width is not as
        fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
      >>> t = pls(dim=1)
      >>> params = t.fit(x, 3 * x)
      >>> print(params.covariances)
      [6.]
      >>> print(jnp.rint(t.apply(params, jnp.array([1.0, 1.0]))))
      [3. 0.]

    References:
      Wold, Path Models with Latent Variables: The NIPALS Approach, 1975.
    """

    def solve(moments: JointMoments) -> PLS:
        check_moments("pls", moments, 2)
        cross = covariance(moments, 0, 1)
        check_dim("pls", dim, *cross.shape)
        u, covariances, v = leading_singular(cross, dim, "exact")
        signs = column_signs(u)
        u, v = u * signs, v * signs
        loadings = (
            _regression(covariance(moments, 1, 1), v, cross.T),
            _regression(covariance(moments, 0, 0), u, cross),
        )
        means = moments.means[0], moments.means[1]
        residual = residual_covariance(moments, matmul(u, loadings[1].T))
        return PLS(means, (u, v), loadings, covariances, residual)

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> PLS:
        return solve(paired_moments("pls", x, y, where))

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def pls_scores(
    params: PLS, x: Float[ArrayLike, "*batch d"], *, view: int = 0
) -> Float[Array, "*batch k"]:
    """Coordinates of one side along its directions, (x − x̄) U or (y − ȳ) V.

    Args:
      params: What the `fit` of `pls` returned.
      x: Rows of side `view`, shape [*batch, d].
      view: 0 for the side called x in the fit, 1 for y.

    Returns:
      The scores, shape [*batch, k].

    Raises:
      ValueError: If `view` is neither 0 nor 1, or x has another width than that side.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0], [2.0], [3.0]])
      >>> params = pls(dim=1).fit(x, -5 * x)
      >>> print(pls_scores(params, x[0]), pls_scores(params, -5 * x[0], view=1))
      [-1.] [-5.]
    """
    if view not in (0, 1):
        raise ValueError(f"pls_scores: `view` must be 0 (x) or 1 (y), got {view}.")
    x = check_width("pls_scores", "x", x, params.means[view].shape[0])
    return affine(x, params.means[view], params.kernels[view])


def _apply(params: PLS, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
    return predict_side(params, check_width("pls", "x", x, params.means[0].shape[0]), 0)


def _inverse(params: PLS, y: Float[ArrayLike, "*batch dy"]) -> Float[Array, "*batch dx"]:
    return predict_side(params, check_width("pls", "y", y, params.means[1].shape[0]), 1)


def _regression(
    s: Float[Array, "a a"], u: Float[Array, "a k"], cross: Float[Array, "a b"]
) -> Float[Array, "b k"]:
    """Transposed least-squares coefficients of the other side on the scores of this one."""
    inner = matmul(u.T, matmul(s, u))
    return solve_psd(regularised(inner, 0.0), matmul(u.T, cross)).T
