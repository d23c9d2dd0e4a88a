"""Kernel ridge regression for many rows: ridge on finitely many features of a kernel."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import inverse_cholesky, zero_absent
from crossmodal_jax.transforms._kernel_ridge import unit_scale
from crossmodal_jax.transforms._kernels import Kernel, rbf_kernel
from crossmodal_jax.transforms._ridge import Ridge, ridge
from crossmodal_jax.transforms._transform import Transform, matmul, paired_rows


class RandomFeatures(NamedTuple):
    """Parameters of `random_features`.

    Attributes:
      mean: The mean of x, shape [dx].
      scale: The root of the mean variance of x over its columns, a scalar.
      frequencies: The matrix W of the features, shape [dx, dim].
      phases: The shifts b in 0 … 2π, shape [dim].
      regression: `Ridge` from the features to y.
    """

    mean: Float[Array, "dx"]
    scale: Float[Array, ""]
    frequencies: Float[Array, "dx dim"]
    phases: Float[Array, "dim"]
    regression: Ridge

    @property
    def residual(self) -> Float[Array, "dy dy"]:
        """Covariance of y − T(x) over the fitted rows, shape [dy, dy]."""
        return self.regression.residual


class Nystrom(NamedTuple):
    """Parameters of `nystrom`.

    Attributes:
      mean: The mean of x, shape [dx].
      scale: The root of the mean variance of x over its columns, a scalar.
      landmarks: The chosen rows (x − mean) / scale, shape [dim, dx].
      whitening: The matrix L⁻ᵀ of the features, shape [dim, dim].
      regression: `Ridge` from the features to y.
    """

    mean: Float[Array, "dx"]
    scale: Float[Array, ""]
    landmarks: Float[Array, "dim dx"]
    whitening: Float[Array, "dim dim"]
    regression: Ridge

    @property
    def residual(self) -> Float[Array, "dy dy"]:
        """Covariance of y − T(x) over the fitted rows, shape [dy, dy]."""
        return self.regression.residual


def random_features(
    *,
    key: Array,
    dim: int = 512,
    gamma: Float[ArrayLike, ""] | float = 1.0,
    l2: Float[ArrayLike, ""] | float = 1e-4,
) -> Transform:
    """Ridge regression on random Fourier features of the Gaussian kernel.

    φ(u) = √(2/D) cos(uW + b) with u = (x − x̄)/s as in `kernel_ridge`, columns of W drawn from
    N(0, 2γ/dx · I) and b from 0 … 2π, so that E⟨φ(u), φ(v)⟩ = exp(−γ ‖u − v‖²/dx). The error of an
    entry of the kernel is of the order of 1/√D. Then ridge on φ with λ = l2 · tr Cov φ, the
    penalty of `kernel_ridge`. Time n D² instead of n³, and memory n D.

    Args:
      key: Random key; the features are a function of it, of dx and `dim`.
      dim: Number D of features.
      gamma: The rate γ > 0 of `rbf_kernel`; may be traced.
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `RandomFeatures`; it has no inverse and no `solve`. `fit`
      takes x [n, dx] and y [n, dy], `apply` x [*batch, dx].

    Raises:
      ValueError: If `dim` is below 1; from `fit` if y is missing or the rows differ, from
        `apply` if x has another width than was fitted.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.linspace(-3, 3, 50)[:, None]
      >>> t = random_features(key=jax.random.key(0), dim=100)
      >>> print(jnp.round(t.apply(t.fit(x, jnp.sin(x)), jnp.array([0.5])), 1))
      [0.5]

    References:
      Rahimi and Recht, Random Features for Large-Scale Kernel Machines, 2007.
    """
    _check_dim("random_features", dim)

    def features(u: Array, frequencies: Array, phases: Array) -> Array:
        angles = matmul(u, frequencies.astype(u.dtype)) + phases.astype(u.dtype)
        return math.sqrt(2 / dim) * jnp.cos(angles)

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> RandomFeatures:
        x, y, keep = paired_rows("random_features", x, y, where)
        mean, scale, u = unit_scale(x, keep)
        w_key, b_key = jax.random.split(key)
        spread = jnp.sqrt(2 * jnp.asarray(gamma, x.dtype) / x.shape[1])
        frequencies = spread * jax.random.normal(w_key, (x.shape[1], dim), x.dtype)
        phases = jax.random.uniform(b_key, (dim,), x.dtype, maxval=2 * math.pi)
        regression = _regress(features(u, frequencies, phases), y, keep, l2)
        return RandomFeatures(mean, scale, frequencies, phases, regression)

    def apply(
        params: RandomFeatures, x: Float[ArrayLike, "*batch dx"]
    ) -> Float[Array, "*batch dy"]:
        x = check_width("random_features", "x", x, params.mean.shape[0])
        return _predict(params, x, lambda u: features(u, params.frequencies, params.phases))

    return Transform(fit=fit, apply=apply)


def nystrom(
    *,
    key: Array,
    dim: int = 512,
    kernel: Kernel | None = None,
    l2: Float[ArrayLike, ""] | float = 1e-4,
) -> Transform:
    """Ridge regression in the span of a kernel at some of the fitted rows.

    φ(u) = k(u, Z) L⁻ᵀ with L Lᵀ = k(Z, Z) for `dim` rows Z drawn from the kept ones, without
    replacement while there are enough; u = (x − x̄)/s as in `kernel_ridge`. Then
    ⟨φ(u), φ(v)⟩ = k(u, Z) k(Z, Z)⁻¹ k(Z, v), which is exact where u or v is in Z, and ridge on φ
    with λ = l2 · tr Cov φ. With every row in Z it is `kernel_ridge`. Time n D², memory n D.

    Args:
      key: Random key of the draw.
      dim: Number D of rows drawn, at most n.
      kernel: A function of rows [n, d] and [m, d] with result [n, m]; `rbf_kernel()` if None.
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `Nystrom`; it has no inverse and no `solve`. `fit` takes
      x [n, dx] and y [n, dy], `apply` x [*batch, dx].

    Raises:
      ValueError: If `dim` is below 1; from `fit` if it is above the number of rows, if y is
        missing or the rows differ, from `apply` if x has another width than was fitted.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.linspace(-3, 3, 50)[:, None]
      >>> t = nystrom(key=jax.random.key(0), dim=10)
      >>> print(jnp.round(t.apply(t.fit(x, jnp.sin(x)), jnp.array([0.5])), 1))
      [0.5]

    References:
      Williams and Seeger, Using the Nyström Method to Speed Up Kernel Machines, 2001.
    """
    _check_dim("nystrom", dim)
    kernel = rbf_kernel() if kernel is None else kernel

    def features(u: Array, landmarks: Array, whitening: Array) -> Array:
        return matmul(kernel(u, landmarks.astype(u.dtype)), whitening.astype(u.dtype))

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> Nystrom:
        x, y, keep = paired_rows("nystrom", x, y, where)
        if dim > len(x):
            raise ValueError(
                f"nystrom: `dim` must be at most the number of rows, got dim={dim} for {len(x)} "
                "rows; use kernel_ridge for so few."
            )
        mean, scale, u = unit_scale(x, keep)
        landmarks = u[_draw(key, keep, dim)]
        whitening = _whitening(kernel(landmarks, landmarks))
        regression = _regress(features(u, landmarks, whitening), y, keep, l2)
        return Nystrom(mean, scale, landmarks, whitening, regression)

    def apply(params: Nystrom, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
        x = check_width("nystrom", "x", x, params.mean.shape[0])
        return _predict(params, x, lambda u: features(u, params.landmarks, params.whitening))

    return Transform(fit=fit, apply=apply)


def _check_dim(name: str, dim: int) -> None:
    if dim < 1:
        raise ValueError(f"{name}: `dim` must be at least 1, got {dim}; it counts the features.")


def _draw(key: Array, keep: Array, dim: int) -> Array:
    """Returns `dim` kept rows at random; all of them in turn if there are fewer."""
    # One number for each place among the kept rows, so that dropped ones change nothing.
    places = jnp.cumsum(keep) - 1
    numbers = jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(key, i)))(places)
    order = jnp.argsort(jnp.where(keep, numbers, 2))
    return order[jnp.arange(dim) % jnp.maximum(jnp.sum(keep), 1)]


def _whitening(gram: Array) -> Array:
    """Returns L⁻ᵀ of the kernel matrix, which is singular where rows repeat."""
    floor = 8 * jnp.finfo(gram.dtype).eps * jnp.trace(gram)
    floor = jnp.where(floor > 0, floor, 1)
    return inverse_cholesky(gram + floor * jnp.eye(len(gram), dtype=gram.dtype)).T


def _regress(features: Array, y: Array, keep: Array, l2: ArrayLike | float) -> Ridge:
    """Ridge with λ = l2 · tr of the covariance; that of `ridge` is relative to its mean."""
    relative = jnp.asarray(l2, features.dtype) * features.shape[1]
    return ridge(l2=relative).fit(zero_absent(features, keep), y, keep)


def _predict(
    params: RandomFeatures | Nystrom, x: Array, features: Callable[[Array], Array]
) -> Array:
    dtype = jnp.promote_types(x.dtype, params.mean.dtype)
    u = ((x.astype(dtype) - params.mean) / params.scale).reshape(-1, x.shape[-1])
    predicted = ridge().apply(params.regression, features(u))
    return predicted.reshape(*x.shape[:-1], -1)
