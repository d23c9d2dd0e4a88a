"""Canonical correlation analysis in the feature spaces of kernels."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import masked_mean, safe_divide, zero_absent
from crossmodal_jax.transforms._kernel_ridge import unit_scale
from crossmodal_jax.transforms._kernels import Kernel, rbf_kernel
from crossmodal_jax.transforms._multiview import fix_signs
from crossmodal_jax.transforms._transform import Transform, matmul, paired_rows


class KernelCCA(NamedTuple):
    """Parameters of `kernel_cca`; the pairs hold what belongs to x and to y.

    Attributes:
      means: The means x̄ and ȳ, shapes [dx] and [dy].
      scales: The roots of the mean variances of x and of y, scalars.
      points: The fitted rows, standardised by these, shapes [n, dx] and [n, dy]; 0 where dropped.
      coefficients: The weights of the rows in each variate, shapes [n, k]; 0 where dropped.
      offsets: What is subtracted from the variates, shapes [k].
      loadings: The covariances of x with the variates of y and of y with those of x, shapes
        [dx, k] and [dy, k].
      correlations: The (regularised) canonical correlations, descending, shape [k].
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
    """

    means: tuple[Float[Array, "dx"], Float[Array, "dy"]]
    scales: tuple[Float[Array, ""], Float[Array, ""]]
    points: tuple[Float[Array, "n dx"], Float[Array, "n dy"]]
    coefficients: tuple[Float[Array, "n k"], Float[Array, "n k"]]
    offsets: tuple[Float[Array, "k"], Float[Array, "k"]]
    loadings: tuple[Float[Array, "dx k"], Float[Array, "dy k"]]
    correlations: Float[Array, "k"]
    residual: Float[Array, "dy dy"]


def kernel_cca(
    *, dim: int, l2: Float[ArrayLike, ""] | float = 1e-2, kernel: Kernel | None = None
) -> Transform:
    """Pairs of functions of x and of y that correlate most, each in the span of a kernel.

    With u = (x − x̄)/s, s² the mean variance of the columns of x, K_x the kernel matrix of the n
    fitted rows, centred in feature space, λ_x = l2 · tr(K_x)/n, and the same for y, it is `cca`
    of the feature spaces: the correlations ρ are the singular values of P_x^½ P_y^½ with
    P = K (K + nλI)⁻¹, and the variates of x are k(u)ᵀ α with
    α = √n (K_x + nλ_x I)⁻¹ P_y^½ v/ρ. With l2 near 0 nearly any two sides correlate perfectly:
    choose it on held-out rows. With `linear_kernel` and dx = dy = d this is `cca` with d · l2.

    A new row is centred like the fitted ones, by their mean in feature space. `apply` predicts y
    from x through the canonical space, T(x) = ȳ + z_x S_{z_x y}, `inverse` x from y. With `dim`
    = n and a kernel matrix of y of full rank, `apply` is `kernel_ridge` with the same l2. For
    retrieval use `kernel_variates`.

    Memory is that of a few n × n matrices, time that of two eigendecompositions and a singular
    value decomposition of that size.

    Args:
      dim: Number of canonical pairs, 1 ≤ dim ≤ n.
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`.
      kernel: A function of rows [n, d] and [m, d] with result [n, m]; `rbf_kernel()` if None.

    Returns:
      A `Transform` with parameters `KernelCCA`; it has no `solve`. `fit` takes x [n, dx] and
      y [n, dy], `apply` x [*batch, dx], `inverse` y [*batch, dy].

    Raises:
      ValueError: If `dim` is out of range, y is missing, the rows differ, or a width is not as
        fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.linspace(-3, 3, 50)[:, None]
      >>> t = kernel_cca(dim=2, l2=1e-3)
      >>> params = t.fit(x, x**2)  # uncorrelated, yet a function of x
      >>> print(params.correlations[0] > 0.9, jnp.rint(t.apply(params, jnp.array([2.0]))))
      True [4.]

    References:
      Bach and Jordan, Kernel Independent Component Analysis, 2002. Hardoon, Szedmak and
      Shawe-Taylor, Canonical Correlation Analysis: An Overview with Application to Learning
      Methods, 2004.
    """
    kernel = rbf_kernel() if kernel is None else kernel

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> KernelCCA:
        x, y, keep = paired_rows("kernel_cca", x, y, where)
        if not 1 <= dim <= x.shape[0]:
            raise ValueError(
                "kernel_cca: `dim` must be between 1 and the number of rows, got dim="
                f"{dim} for n={x.shape[0]}."
            )
        means, scales, points = zip(*(unit_scale(z, keep) for z in (x, y)), strict=True)
        grams, columns = zip(*(_centred(kernel(u, u), keep) for u in points), strict=True)
        weights, variates, rho = _solve(grams, keep, jnp.asarray(l2), dim)
        offsets = [matmul(c[None], w)[0] for c, w in zip(columns, weights, strict=True)]
        sides = [zero_absent(z - mean, keep) for z, mean in zip((x, y), means, strict=True)]
        number = jnp.maximum(jnp.sum(keep), 1).astype(x.dtype)
        loadings = [
            matmul(z.T, other) / number for z, other in zip(sides, variates[::-1], strict=True)
        ]
        error = sides[1] - matmul(variates[0], loadings[1].T)
        residual = matmul(error.T, error) / number
        return KernelCCA(
            means=means,
            scales=scales,
            points=points,
            coefficients=(weights[0], weights[1]),
            offsets=(offsets[0], offsets[1]),
            loadings=(loadings[0], loadings[1]),
            correlations=rho,
            residual=residual,
        )

    def predict(params: KernelCCA, x: Array, view: int) -> Array:
        variates = _variates(params, x, view, kernel)
        decoder = params.loadings[1 - view].astype(variates.dtype)
        shape = (*x.shape[:-1], decoder.shape[0])
        found = matmul(variates.reshape(-1, decoder.shape[1]), decoder.T).reshape(shape)
        return found + params.means[1 - view].astype(variates.dtype)

    def apply(params: KernelCCA, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
        return predict(params, check_width("kernel_cca", "x", x, params.means[0].shape[0]), 0)

    def inverse(params: KernelCCA, y: Float[ArrayLike, "*batch dy"]) -> Float[Array, "*batch dx"]:
        return predict(params, check_width("kernel_cca", "y", y, params.means[1].shape[0]), 1)

    return Transform(fit=fit, apply=apply, inverse=inverse)


def kernel_variates(
    params: KernelCCA,
    x: Float[ArrayLike, "*batch d"],
    *,
    view: int = 0,
    kernel: Kernel | None = None,
) -> Float[Array, "*batch k"]:
    """Coordinates of one side in the space that `kernel_cca` makes both share.

    Args:
      params: What the `fit` of `kernel_cca` returned.
      x: Rows of side `view`, shape [*batch, d].
      view: 0 for the side called x in the fit, 1 for y.
      kernel: The kernel of the fit; `rbf_kernel()` if None.

    Returns:
      The variates, of mean 0 over the fitted rows, shape [*batch, k].

    Raises:
      ValueError: If `view` is neither 0 nor 1, or x has another width than that side.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.linspace(-3, 3, 50)[:, None]
      >>> params = kernel_cca(dim=1, l2=1e-3).fit(x, x**2)
      >>> zx, zy = kernel_variates(params, x), kernel_variates(params, x**2, view=1)
      >>> print(jnp.corrcoef(zx[:, 0], zy[:, 0])[0, 1] > 0.99)
      True
    """
    if view not in (0, 1):
        raise ValueError(f"kernel_variates: `view` must be 0 (x) or 1 (y), got {view}.")
    x = check_width("kernel_variates", "x", x, params.means[view].shape[0])
    return _variates(params, x, view, rbf_kernel() if kernel is None else kernel)


def _variates(params: KernelCCA, x: Array, view: int, kernel: Kernel) -> Array:
    dtype = jnp.promote_types(x.dtype, params.means[view].dtype)
    mean, scale, points, weights, offset = (field[view].astype(dtype) for field in params[:5])
    rows = ((x.astype(dtype) - mean) / scale).reshape(-1, x.shape[-1])
    # The weights add up to 0, so the mean of a row's similarities needs no subtraction.
    found = matmul(kernel(rows, points), weights) - offset
    return found.reshape(*x.shape[:-1], weights.shape[1])


def _centred(
    gram: Float[Array, "n n"], keep: Bool[Array, "n"]
) -> tuple[Float[Array, "n n"], Float[Array, "n"]]:
    """The kernel matrix about the mean of the kept rows, and the means of its columns."""
    pairs = keep[:, None] & keep[None, :]
    columns = masked_mean(gram, keep[:, None], axis=0)
    centred = gram - columns[:, None] - columns[None, :] + masked_mean(columns, keep)
    return jnp.where(pairs, centred, 0), zero_absent(columns, keep)


def _solve(
    grams: tuple[Array, ...], keep: Bool[Array, "n"], l2: Array, dim: int
) -> tuple[tuple[Array, ...], tuple[Array, ...], Array]:
    """Weights and variates of the fitted rows on both sides, and the correlations."""
    spectra = [_spectrum(gram, l2) for gram in grams]
    halves = [
        vectors * jnp.sqrt(values / (values + penalty)) for values, vectors, penalty in spectra
    ]
    u, rho, vt = jnp.linalg.svd(matmul(halves[0].T, halves[1]))
    sign = fix_signs(u[:, :dim])
    sides, rho = (u[:, :dim] * sign, vt[:dim].T * sign), rho[:dim]
    root = jnp.sqrt(jnp.maximum(jnp.sum(keep), 1).astype(rho.dtype))
    noise = len(keep) * jnp.finfo(rho.dtype).eps
    weights, variates = [], []
    for m, (values, vectors, penalty) in enumerate(spectra):
        # By the other side: dividing by the root of a small eigenvalue of this one loses digits.
        image = matmul(vectors.T, matmul(halves[1 - m], sides[1 - m]))
        found = matmul(vectors, image / (values + penalty)[:, None]) * root
        # A correlation that is rounding has no direction.
        found = zero_absent(safe_divide(found, jnp.where(rho > noise, rho, 0)), keep)
        found = zero_absent(found - masked_mean(found, keep[:, None], axis=0), keep)
        weights.append(found)
        variates.append(matmul(grams[m], found))
    return tuple(weights), tuple(variates), jnp.minimum(rho, 1)


def _spectrum(gram: Float[Array, "n n"], l2: Array) -> tuple[Array, Array, Array]:
    """Eigenvalues, 0 where they are rounding, eigenvectors, and nλ of a centred matrix."""
    values, vectors = jnp.linalg.eigh(gram)
    trace = jnp.trace(gram)
    floor = 8 * jnp.finfo(gram.dtype).eps * jnp.where(trace > 0, trace, 1)
    values = jnp.where(values > floor, values, 0)
    return values, vectors, jnp.maximum(l2.astype(gram.dtype) * trace, floor)
