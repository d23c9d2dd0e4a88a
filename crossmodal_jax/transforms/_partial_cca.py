"""Canonical correlation analysis without the effect of confounds."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_pairs, check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, moments, solve_psd
from crossmodal_jax.transforms._cca import CCA, predict_side, solve_cca
from crossmodal_jax.transforms._subspace import check_dim
from crossmodal_jax.transforms._transform import (
    Transform,
    affine,
    check_moments,
    matmul,
    paired_moments,
    regularised,
)


class PartialCCA(NamedTuple):
    """Parameters of `partial_cca`.

    Attributes:
      cca: The parameters of `cca` between x and y without what z explains; its means are those
        of x and y.
      mean: The mean of the confounds z, shape [dz].
      slopes: The regressions B_x and B_y of x and y on z, shapes [dz, dx] and [dz, dy].
    """

    cca: CCA
    mean: Float[Array, "dz"]
    slopes: tuple[Float[Array, "dz dx"], Float[Array, "dz dy"]]

    @property
    def residual(self) -> Float[Array, "dy dy"]:
        """Covariance of y − T(x, z) over the fitted rows, shape [dy, dy]."""
        return self.cca.residual


def partial_cca(*, dim: int, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """Pairs of directions in which x and y correlate most, beyond what confounds z explain.

    It is `cca` between the residuals of the least-squares regressions of x and of y on z,
    x − x̄ − (z − z̄) B_x and y − ȳ − (z − z̄) B_y with B = S_zz⁻¹ S_z·, whose covariances are the
    partial ones, S_xy − S_xz S_zz⁻¹ S_zy. Where S_zz is singular it gets the ridge that its
    Cholesky factor needs.

    `apply` predicts y from x and z, T(x, z) = ȳ + (z − z̄) B_y + the prediction of `cca` from the
    residual of x; `inverse` predicts x from y and z. For retrieval use
    `canonical_variates(params.cca, remove_confounds(params, x, z))`.

    Args:
      dim: Number of canonical pairs, 1 ≤ dim ≤ min(dx, dy).
      l2: Relative penalty ≥ 0 of `cca`; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `PartialCCA`. `fit(x, y, where=None, confounds=None)` takes
      z as `confounds` [n, dz], `solve` the moments of (x, y, z), `apply(params, x, confounds)`
      rows [*batch, dx] and [*batch, dz], and `inverse(params, y, confounds)` likewise. A fit
      without confounds is `cca`, and needs none afterwards.

    Raises:
      ValueError: If `dim` is out of range, y is missing, the rows differ, a width is not as
        fitted, or the confounds that were fitted are not given to `apply` or `inverse`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from crossmodal_jax.transforms import cca
      >>> z = jnp.array([[1.0], [1.0], [-1.0], [-1.0]])
      >>> noise = jnp.array([[1.0], [-1.0], [1.0], [-1.0]])
      >>> print(jnp.round(cca(dim=1).fit(z + noise, z).correlations, 1))
      [0.7]
      >>> t = partial_cca(dim=1)
      >>> params = t.fit(z + noise, z, confounds=z)
      >>> print(jnp.round(params.cca.correlations, 1))
      [0.]
      >>> print(jnp.rint(t.apply(params, z[0], z[0])))
      [1.]

    References:
      Rao, Partial Canonical Correlations, 1969.
    """

    def solve(state: JointMoments) -> PartialCCA:
        check_moments("partial_cca", state, 2)
        check_dim("partial_cca", dim, *covariance(state, 0, 1).shape)
        means = state.means[0], state.means[1]
        mean, slopes, partial = _regress_out(state)
        fitted = solve_cca(partial, dim, l2)
        return PartialCCA(fitted._replace(means=means), mean, slopes)

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        confounds: Float[ArrayLike, "n dz"] | None = None,
    ) -> PartialCCA:
        if y is None or confounds is None:
            return solve(paired_moments("partial_cca", x, y, where))
        x, y, z = check_pairs("partial_cca", x=x, y=y, confounds=confounds)
        dtype = jnp.promote_types(jnp.promote_types(x.dtype, y.dtype), z.dtype)
        return solve(moments([side.astype(dtype) for side in (x, y, z)], where=where))

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def remove_confounds(
    params: PartialCCA,
    x: Float[ArrayLike, "*batch d"],
    confounds: Float[ArrayLike, "*batch dz"],
    *,
    view: int = 0,
) -> Float[Array, "*batch d"]:
    """What x is expected to be at the mean of the confounds, x − (z − z̄) B.

    Args:
      params: What the `fit` of `partial_cca` returned.
      x: Rows of side `view`, shape [*batch, d].
      confounds: The confounds z of these rows, shape [*batch, dz].
      view: 0 for the side called x in the fit, 1 for y.

    Returns:
      Rows without the effect of the confounds, shape [*batch, d].

    Raises:
      ValueError: If `view` is neither 0 nor 1, or a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> z = jnp.array([[0.0], [2.0]])
      >>> params = partial_cca(dim=1).fit(3 * z, z, confounds=z)
      >>> print(jnp.rint(remove_confounds(params, 3 * z, z)).ravel())
      [3. 3.]
    """
    if view not in (0, 1):
        raise ValueError(f"remove_confounds: `view` must be 0 (x) or 1 (y), got {view}.")
    x = check_width("remove_confounds", "x", x, params.cca.means[view].shape[0])
    effect = _effect("remove_confounds", params, confounds, view)
    dtype = jnp.promote_types(x.dtype, effect.dtype)
    return x.astype(dtype) - effect.astype(dtype)


def _regress_out(
    state: JointMoments,
) -> tuple[Array, tuple[Array, Array], JointMoments]:
    """Mean of z, slopes of x and y on z, and the moments of the residuals of x and y."""
    s = [[covariance(state, i, j) for j in (0, 1)] for i in (0, 1)]
    if len(state.origins) > 2:
        mean, szz = state.means[2], covariance(state, 2, 2)
        regular = regularised(szz, 0.0)
        cross = [covariance(state, 2, i) for i in (0, 1)]
        bx, by = (solve_psd(regular, c) for c in cross)
        explained = [[_explained(szz, cross, (bx, by), i, j) for j in (0, 1)] for i in (0, 1)]
        s = [[s[i][j] - explained[i][j] for j in (0, 1)] for i in (0, 1)]
    else:
        mean = jnp.zeros((0,), s[0][0].dtype)
        bx, by = (jnp.zeros((0, s[i][i].shape[0]), mean.dtype) for i in (0, 1))
    zeros = jnp.zeros_like(s[0][0][0]), jnp.zeros_like(s[1][1][0])
    scatter = ((s[0][0], s[0][1]), (s[1][1],))
    return mean, (bx, by), JointMoments(jnp.ones((), jnp.int32), zeros, zeros, scatter)


def _explained(
    szz: Array, cross: list[Array], slopes: tuple[Array, Array], i: int, j: int
) -> Array:
    """Covariance of i and j less that of their residuals, for slopes that a ridge may shrink."""
    first = matmul(slopes[i].T, cross[j]) + matmul(cross[i].T, slopes[j])
    return first - matmul(slopes[i].T, matmul(szz, slopes[j]))


def _effect(name: str, params: PartialCCA, confounds: ArrayLike | None, view: int) -> Array:
    """(z − z̄) B of side `view`."""
    if confounds is None:
        if params.mean.shape[0] > 0:
            raise ValueError(
                f"{name}: confounds of width {params.mean.shape[0]} were fitted, got none; pass "
                "`confounds` for the same rows."
            )
        return jnp.zeros_like(params.cca.means[view])
    z = check_width(name, "confounds", confounds, params.mean.shape[0])
    return affine(z, params.mean, params.slopes[view])


def _apply(
    params: PartialCCA,
    x: Float[ArrayLike, "*batch dx"],
    confounds: Float[ArrayLike, "*batch dz"] | None = None,
) -> Float[Array, "*batch dy"]:
    x = check_width("partial_cca", "x", x, params.cca.means[0].shape[0])
    return _predict(params, x, confounds, 0)


def _inverse(
    params: PartialCCA,
    y: Float[ArrayLike, "*batch dy"],
    confounds: Float[ArrayLike, "*batch dz"] | None = None,
) -> Float[Array, "*batch dx"]:
    y = check_width("partial_cca", "y", y, params.cca.means[1].shape[0])
    return _predict(params, y, confounds, 1)


def _predict(params: PartialCCA, x: Array, confounds: ArrayLike | None, view: int) -> Array:
    effects = [_effect("partial_cca", params, confounds, i) for i in (0, 1)]
    dtype = jnp.promote_types(x.dtype, effects[0].dtype)
    residual = x.astype(dtype) - effects[view].astype(dtype)
    return predict_side(params.cca, residual, view) + effects[1 - view].astype(dtype)
