"""The optimal transport map between two Gaussians."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, moments, solve_psd, sqrt_psd
from crossmodal_jax.transforms._transform import (
    Transform,
    affine,
    check_moments,
    matmul,
    regularised,
    unpaired_clouds,
)


class GaussianMap(NamedTuple):
    """Parameters of `gaussian_map`.

    Attributes:
      means: The means x̄ and ȳ, shapes [d] and [d].
      kernel: The symmetric positive definite matrix A, shape [d, d].
      inverse_kernel: Its inverse, shape [d, d].
    """

    means: tuple[Float[Array, "d"], Float[Array, "d"]]
    kernel: Float[Array, "d d"]
    inverse_kernel: Float[Array, "d d"]


def gaussian_map(*, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """The affine map that carries the Gaussian of x to the Gaussian of y at least cost; unpaired.

    T(x) = ȳ + A (x − x̄) with A = S_x^−½ (S_x^½ S_y S_x^½)^½ S_x^−½, so that A S_x A = S_y: rows of
    the covariance of x get the covariance of y. Among the maps that do so it moves them least,
    by `bures_distance` in the mean square. Here S_x = Cov(x) + λ_x I with λ_x = l2 · tr Cov(x)/d
    and likewise S_y, relative to the mean variance of each side. For l2 near 0, λ is at least
    about 10 eps of the norm. `inverse` is the map back, by A⁻¹.

    Args:
      l2: Relative regularisation ≥ 0 of both covariances; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `GaussianMap`. It is unpaired: `fit(x, y, where=None,
      where_y=None)` takes x [n, d] and y [m, d], whose rows need not correspond. `solve(moments)`
      takes joint moments of (x, y), and `solve(moments_x, moments_y)` those of each cloud alone,
      its first modality. `apply` takes x [*batch, d], `inverse` y [*batch, d].

    Raises:
      ValueError: If y is missing, the widths of x and y differ, or a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[-1.0], [1.0]]), jnp.array([[2.0], [2.0], [8.0], [8.0]])
      >>> t = gaussian_map(l2=0.0)
      >>> params = t.fit(x, y)
      >>> print(jnp.rint(params.kernel), params.means[1])
      [[3.]] [5.]

    References:
      Gelbrich, On a Formula for the L2 Wasserstein Metric between Measures on Euclidean and
      Hilbert Spaces, 1990.
    """

    def solve(moments: JointMoments, moments_y: JointMoments | None = None) -> GaussianMap:
        if moments_y is None:
            check_moments("gaussian_map", moments, 2)
            mean_y, cov_y = moments.means[1], covariance(moments, 1, 1)
        else:
            mean_y, cov_y = moments_y.means[0], covariance(moments_y, 0, 0)
        s_x, s_y = regularised(covariance(moments, 0, 0), l2), regularised(cov_y, l2)
        if s_x.shape != s_y.shape:
            raise ValueError(
                "gaussian_map: x and y must have one width, got "
                f"dx={s_x.shape[0]} and dy={s_y.shape[0]}; reduce the wider one by pca."
            )
        return GaussianMap((moments.means[0], mean_y), _kernel(s_x, s_y), _kernel(s_y, s_x))

    def fit(
        x: Float[ArrayLike, "n d"],
        y: Float[ArrayLike, "m d"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        where_y: Bool[ArrayLike, "m"] | None = None,
    ) -> GaussianMap:
        x, y, keep, keep_y = unpaired_clouds("gaussian_map", x, y, where, where_y)
        return solve(moments((x,), where=keep), moments((y,), where=keep_y))

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def bures_distance(
    mean_x: Float[ArrayLike, "d"],
    cov_x: Float[ArrayLike, "d d"],
    mean_y: Float[ArrayLike, "d"],
    cov_y: Float[ArrayLike, "d d"],
) -> Float[Array, ""]:
    """Squared Wasserstein distance W₂² between two Gaussians, also called Fréchet distance.

    ‖x̄ − ȳ‖² + tr(S_x + S_y − 2 (S_x^½ S_y S_x^½)^½), the last part the squared Bures
    distance. The gradient is finite for singular covariances too.

    Args:
      mean_x: The mean of the first Gaussian, shape [d].
      cov_x: Its covariance S_x, symmetric and positive semidefinite, shape [d, d].
      mean_y: The mean of the second, shape [d].
      cov_y: Its covariance S_y, shape [d, d].

    Returns:
      The squared distance, a scalar ≥ 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> mean = jnp.zeros(1)
      >>> print(bures_distance(mean, jnp.array([[4.0]]), mean + 2, jnp.array([[9.0]])))
      5.0

    References:
      Gelbrich, On a Formula for the L2 Wasserstein Metric between Measures on Euclidean and
      Hilbert Spaces, 1990.
    """
    cov_x, cov_y = jnp.asarray(cov_x), jnp.asarray(cov_y)
    shift = jnp.asarray(mean_x) - jnp.asarray(mean_y)
    cross = jnp.trace(sqrt_psd(_sandwich(sqrt_psd(cov_x), cov_y)))
    return jnp.sum(shift * shift) + jnp.maximum(jnp.trace(cov_x) + jnp.trace(cov_y) - 2 * cross, 0)


def _kernel(s_x: Float[Array, "d d"], s_y: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """S_x^−½ (S_x^½ S_y S_x^½)^½ S_x^−½."""
    root = sqrt_psd(s_x)
    half = solve_psd(root, sqrt_psd(_sandwich(root, s_y)))
    kernel = solve_psd(root, half.T)
    return (kernel + kernel.T) / 2


def _sandwich(root: Float[Array, "d d"], s: Float[Array, "d d"]) -> Float[Array, "d d"]:
    return matmul(root, matmul(s, root))


def _apply(params: GaussianMap, x: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    x = check_width("gaussian_map", "x", x, params.means[0].shape[0])
    return affine(x, params.means[0], params.kernel, params.means[1])


def _inverse(params: GaussianMap, y: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    y = check_width("gaussian_map", "y", y, params.means[1].shape[0])
    return affine(y, params.means[1], params.inverse_kernel, params.means[0])
