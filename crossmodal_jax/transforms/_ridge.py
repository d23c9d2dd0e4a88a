"""Ridge regression."""

from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, solve_psd
from crossmodal_jax.transforms._transform import (
    Transform,
    affine,
    check_moments,
    paired_moments,
    regularised,
    residual_covariance,
)


class Ridge(NamedTuple):
    """Parameters of `ridge`.

    Attributes:
      mean: The mean of x, shape [dx].
      kernel: The coefficients W, shape [dx, dy].
      offset: The mean of y, shape [dy].
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
    """

    mean: Float[Array, "dx"]
    kernel: Float[Array, "dx dy"]
    offset: Float[Array, "dy"]
    residual: Float[Array, "dy dy"]


def ridge(*, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """Linear regression with an L2 penalty, the mean not penalised.

    T(x) = ȳ + (x − x̄) W with W = (S_xx + λI)⁻¹ S_xy, S the covariances divided by n, and
    λ = l2 · tr(S_xx)/dx: the penalty is relative to the mean variance of x, so that it means
    the same whatever the unit of x. In the other customary forms it is λn for XᵀX and
    alpha = λn of scikit-learn. For l2 → ∞ every prediction is ȳ. For l2 near 0, λ is at least
    what the Cholesky factor of a rank-deficient S_xx needs, about 10 eps of its norm.

    Args:
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `Ridge`; it has no inverse. `fit` takes x [n, dx] and
      y [n, dy], `solve` the moments of (x, y), `apply` x [*batch, dx].

    Raises:
      ValueError: From `fit` if y is missing or the rows differ, from `apply` if x has another
        width than was fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[0.0], [1.0], [2.0]])
      >>> t = ridge(l2=0.0)
      >>> params = t.fit(x, 3 * x + 1)
      >>> print(jnp.rint(t.apply(params, jnp.array([[10.0]]))))
      [[31.]]

    References:
      Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970.
    """

    def solve(moments: JointMoments) -> Ridge:
        return solve_ridge(moments, l2)

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> Ridge:
        return solve(paired_moments("ridge", x, y, where))

    return Transform(fit=fit, apply=_apply, inverse=None, solve=solve)


def solve_ridge(moments: JointMoments, l2: Float[ArrayLike, ""] | float) -> Ridge:
    """The `solve` of `ridge`."""
    check_moments("ridge", moments, 2)
    kernel = solve_psd(regularised(covariance(moments, 0, 0), l2), covariance(moments, 0, 1))
    mean, offset = moments.means[:2]
    return Ridge(mean, kernel, offset, residual_covariance(moments, kernel))


def _apply(params: Ridge, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
    x = check_width("ridge", "x", x, params.mean.shape[0])
    return affine(x, params.mean, params.kernel, params.offset)
