"""Probabilistic canonical correlation analysis."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, signed_sqrt
from crossmodal_jax.transforms._cca import solve_cca
from crossmodal_jax.transforms._subspace import check_dim
from crossmodal_jax.transforms._transform import (
    Predictive,
    Transform,
    affine,
    check_moments,
    matmul,
    paired_moments,
    regularised,
)


class ProbabilisticCCA(NamedTuple):
    """Parameters of `probabilistic_cca`; the pairs hold what belongs to x and to y.

    Attributes:
      means: The means μ_x and μ_y, shapes [dx] and [dy].
      kernels: The canonical directions U_x and U_y, shapes [dx, k] and [dy, k].
      loadings: The factor loadings W_x and W_y, shapes [dx, k] and [dy, k].
      noises: The noise covariances Ψ_x and Ψ_y, shapes [dx, dx] and [dy, dy].
      correlations: The canonical correlations, descending, shape [k].
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
    """

    means: tuple[Float[Array, "dx"], Float[Array, "dy"]]
    kernels: tuple[Float[Array, "dx k"], Float[Array, "dy k"]]
    loadings: tuple[Float[Array, "dx k"], Float[Array, "dy k"]]
    noises: tuple[Float[Array, "dx dx"], Float[Array, "dy dy"]]
    correlations: Float[Array, "k"]
    residual: Float[Array, "dy dy"]


def probabilistic_cca(*, dim: int, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """A Gaussian latent that two views share: z ~ N(0, I), x = μ_x + W_x z + ε_x, likewise y.

    With ε ~ N(0, Ψ) of any covariance the likelihood is largest at W_x = S_xx U_x R^½ and
    Ψ_x = S_xx − W_x W_xᵀ, likewise for y, where U are the directions and R = diag(ρ) the
    correlations of `cca`; z is known up to a rotation, of which this is the canonical one.
    S_xx and S_yy carry the penalty of `cca`. The model has them as its marginal covariances, and
    W_x W_yᵀ is S_xy when every dimension is kept, else the best of its rank in the whitened
    metric.

    `apply` predicts y through the latent, T(x) = μ_y + W_y E[z | x] with
    E[z | x] = R^½ U_xᵀ (x − μ_x), and `inverse` predicts x likewise; these are the predictions of
    `cca`. For the latent given one view, both or none use `latent_posterior`. Gradients through
    the fit are those of `cca`: exact for predictions, and for W and Ψ where no two correlations
    are equal; finite where some are.

    Args:
      dim: Number of latent variables, 1 ≤ dim ≤ min(dx, dy).
      l2: Relative penalty ≥ 0, as in `cca`; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `ProbabilisticCCA`. `fit` takes x [n, dx] and y [n, dy],
      `solve` the moments of (x, y), `apply` x [*batch, dx], `inverse` y [*batch, dy].

    Raises:
      ValueError: If `dim` is out of range, y is missing, the rows differ, or a width is not as
        fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
      >>> t = probabilistic_cca(dim=2, l2=0.0)
      >>> params = t.fit(x, 5 * x[:, ::-1] + 2)
      >>> print(jnp.rint(t.apply(params, jnp.array([2.0, 1.0]))))
      [ 7. 12.]

    References:
      Bach and Jordan, A Probabilistic Interpretation of Canonical Correlation Analysis, 2005.
    """

    def solve(moments: JointMoments) -> ProbabilisticCCA:
        check_moments("probabilistic_cca", moments, 2)
        check_dim("probabilistic_cca", dim, *covariance(moments, 0, 1).shape)
        fitted = solve_cca(moments, dim, l2)
        root = signed_sqrt(fitted.correlations)
        marginals = [regularised(covariance(moments, i, i), l2) for i in (0, 1)]
        wx, wy = (matmul(s, u * root) for s, u in zip(marginals, fitted.kernels, strict=True))
        noises = marginals[0] - matmul(wx, wx.T), marginals[1] - matmul(wy, wy.T)
        return ProbabilisticCCA(
            fitted.means, fitted.kernels, (wx, wy), noises, fitted.correlations, fitted.residual
        )

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> ProbabilisticCCA:
        return solve(paired_moments("probabilistic_cca", x, y, where))

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def latent_posterior(
    params: ProbabilisticCCA,
    x: Float[ArrayLike, "*batch dx"] | None = None,
    y: Float[ArrayLike, "*batch dy"] | None = None,
) -> Predictive:
    """The latent of `probabilistic_cca` given x, y, both, or neither.

    Each latent variable has its own pair of variates a = U_xᵀ (x − μ_x) and b = U_yᵀ (y − μ_y),
    and depends on nothing else: with m of them known and s their sum, its mean is
    √ρ s / (1 − ρ + m ρ) and its variance (1 − ρ) / (1 − ρ + m ρ). Given nothing that is the prior.

    Args:
      params: What the `fit` of `probabilistic_cca` returned.
      x: Rows of the first view, shape [*batch, dx], or None if it is missing.
      y: Rows of the second view, shape [*batch, dy], or None if it is missing.

    Returns:
      The mean [*batch, k], or [k] given neither, and the covariance [k, k] of the latent.

    Raises:
      ValueError: If a width is not as fitted, or the batch axes do not broadcast.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0], [2.0], [3.0]])
      >>> params = probabilistic_cca(dim=1, l2=0.0).fit(x, x)
      >>> print(latent_posterior(params).covariance)
      [[1.]]
      >>> print(jnp.round(latent_posterior(params, x).covariance, 3))
      [[0.]]
    """
    given = [(i, z) for i, z in enumerate((x, y)) if z is not None]
    rho = params.correlations
    total = jnp.zeros_like(rho)
    for i, z in given:
        z = check_width("latent_posterior", "xy"[i], z, params.means[i].shape[0])
        total = total + affine(z, params.means[i], params.kernels[i])
    if not given:
        return Predictive(total, jnp.eye(rho.shape[0], dtype=rho.dtype))
    level = 1 - rho + len(given) * rho
    mean = (signed_sqrt(rho) / level).astype(total.dtype) * total
    return Predictive(mean, jnp.diag((1 - rho) / level))


def _apply(params: ProbabilisticCCA, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
    return _predict(params, check_width("probabilistic_cca", "x", x, params.means[0].shape[0]), 0)


def _inverse(
    params: ProbabilisticCCA, y: Float[ArrayLike, "*batch dy"]
) -> Float[Array, "*batch dx"]:
    return _predict(params, check_width("probabilistic_cca", "y", y, params.means[1].shape[0]), 1)


def _predict(params: ProbabilisticCCA, x: Array, view: int) -> Array:
    latent = affine(x, params.means[view], params.kernels[view] * signed_sqrt(params.correlations))
    other = 1 - view
    origin = jnp.zeros_like(params.correlations)
    return affine(latent, origin, params.loadings[other].T, params.means[other])
