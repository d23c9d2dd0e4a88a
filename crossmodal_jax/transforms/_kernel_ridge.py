"""Kernel ridge regression with its exact leave-one-out predictions."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import inverse_cholesky, masked_mean, safe_divide, zero_absent
from crossmodal_jax.transforms._kernels import Kernel, rbf_kernel
from crossmodal_jax.transforms._transform import Transform, matmul, paired_rows


class KernelRidge(NamedTuple):
    """Parameters of `kernel_ridge`.

    Attributes:
      mean: The mean of x, shape [dx].
      scale: The root of the mean variance of x over its columns, a scalar.
      points: The fitted rows (x − mean) / scale, shape [n, dx]; 0 where dropped.
      coefficients: The weight of each row, shape [n, dy]; 0 where dropped.
      offset: What is added to every prediction, shape [dy].
      leave_one_out: The prediction of each row by the fit of all others, shape [n, dy]; 0
        where dropped.
      residual: Covariance of y minus `leave_one_out` over the fitted rows, shape [dy, dy]. The
        error on the fitted rows themselves would flatter: many kernels can make it 0.
    """

    mean: Float[Array, "dx"]
    scale: Float[Array, ""]
    points: Float[Array, "n dx"]
    coefficients: Float[Array, "n dy"]
    offset: Float[Array, "dy"]
    leave_one_out: Float[Array, "n dy"]
    residual: Float[Array, "dy dy"]


def kernel_ridge(
    *, kernel: Kernel | None = None, l2: Float[ArrayLike, ""] | float = 1e-4
) -> Transform:
    """Ridge regression in the feature space of a kernel, the mean not penalised.

    With u = (x − x̄)/s, s² the mean variance of the columns of x, K the kernel matrix of the n
    fitted rows, centred in feature space, and λ = l2 · tr(K)/n:
    T(x) = ȳ + k(u)ᵀ α with α = (K + nλI)⁻¹ (Y − ȳ). The penalty is relative to the variance in
    feature space, whose dimension may be infinite. With `linear_kernel` this is `ridge` with
    dx · l2.

    The prediction of row i by the fit of all other rows, with the same x̄, s and λ, comes with
    the fit: yᵢ − nλ αᵢ / (nλ Hᵢᵢ − 1/n) for H = (K + nλI)⁻¹. Choose γ and l2 by its error, and
    train what is fed by T on it: it is as honest as a held-out prediction.

    Memory is that of a few n × n matrices and time that of a Cholesky factor, n³; for many rows
    use `nystrom` or `random_features`.

    Args:
      kernel: A function of rows [n, d] and [m, d] with result [n, m]; `rbf_kernel()` if None.
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`. The penalty nλ is at
        least what the Cholesky factor of a singular K needs, some eps of its norm.

    Returns:
      A `Transform` with parameters `KernelRidge`; it has no inverse and no `solve`. `fit` takes
      x [n, dx] and y [n, dy], `apply` x [*batch, dx].

    Raises:
      ValueError: From `fit` if y is missing or the rows differ, from `apply` if x has another
        width than was fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.linspace(-3, 3, 50)[:, None]
      >>> t = kernel_ridge()
      >>> params = t.fit(x, jnp.sin(x))
      >>> print(jnp.round(t.apply(params, jnp.array([0.5])), 2), jnp.sin(0.5).round(2))
      [0.48] 0.48

    References:
      Saunders, Gammerman and Vovk, Ridge Regression Learning Algorithm in Dual Variables, 1998.
    """
    kernel = rbf_kernel() if kernel is None else kernel

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> KernelRidge:
        x, y, keep = paired_rows("kernel_ridge", x, y, where)
        mean, scale, points = unit_scale(x, keep)
        return KernelRidge(
            mean, scale, points, *_solve(kernel(points, points), y, keep, jnp.asarray(l2))
        )

    def apply(params: KernelRidge, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
        x = check_width("kernel_ridge", "x", x, params.mean.shape[0])
        dtype = jnp.promote_types(x.dtype, params.mean.dtype)
        rows = ((x.astype(dtype) - params.mean) / params.scale).reshape(-1, x.shape[-1])
        found = matmul(kernel(rows, params.points.astype(dtype)), params.coefficients.astype(dtype))
        return (found + params.offset).reshape(*x.shape[:-1], -1)

    return Transform(fit=fit, apply=apply)


def _solve(gram: Array, y: Array, keep: Array, l2: Array) -> tuple[Array, ...]:
    """Coefficients, offset, leave-one-out predictions and their covariance from all k(xᵢ, xⱼ)."""
    dtype, kept = gram.dtype, keep.astype(gram.dtype)
    number = jnp.maximum(jnp.sum(kept), 1)
    pairs = keep[:, None] & keep[None, :]
    gram = jnp.where(pairs, gram, 0)
    columns = jnp.sum(gram, axis=0) / number
    centred = gram - columns[:, None] - columns[None, :] + jnp.sum(columns) / number
    centred = jnp.where(pairs, centred, 0)
    offset = masked_mean(y, keep[:, None], axis=0)
    target = zero_absent(y - offset, keep)

    trace = jnp.trace(centred)
    floor = 8 * jnp.finfo(dtype).eps * jnp.where(trace > 0, trace, 1)
    penalty = jnp.maximum(l2.astype(dtype) * trace, floor)
    # The constant is an eigenvector of K with eigenvalue 0, orthogonal to the target. Raised to
    # tr K it changes no coefficient, and 1/n cancels from the hat matrix without rounding.
    raised = centred + trace / number * jnp.outer(kept, kept)
    half = inverse_cholesky(raised + penalty * jnp.eye(len(y), dtype=dtype))
    coefficients = zero_absent(matmul(half.T, matmul(half, target)), keep)
    inverse = jnp.sum(jnp.square(half), axis=0)
    left = penalty * inverse - penalty / (penalty + trace) / number
    error = zero_absent(safe_divide(penalty * coefficients, left[:, None]), keep)
    predictions = zero_absent(y - error, keep)
    covariance = matmul(error.T, error) / number
    return coefficients, offset - matmul(columns[None], coefficients)[0], predictions, covariance


def unit_scale(x: Array, keep: Array) -> tuple[Array, Array, Array]:
    """Mean, root of the mean variance (1 if that is 0), and the rows brought to 0 and 1 by them."""
    mean = masked_mean(x, keep[:, None], axis=0)
    centred = zero_absent(x - mean, keep)
    variance = jnp.mean(masked_mean(jnp.square(centred), keep[:, None], axis=0))
    scale = jnp.sqrt(jnp.where(variance > 0, variance, 1))
    return mean, scale, centred / scale
