"""The interface of all transforms, and what their fits share."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_both_sides, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, moments, safe_norm, zero_absent


class Transform(NamedTuple):
    """A transform T as four pure functions; factories such as `ridge` make one.

    Attributes:
      fit: `fit(x, y=None, where=None) -> params` from rows x [n, dx] and y [n, dy], of which
        `where` [n] keeps some. Traceable, so it may be mapped over folds.
      apply: `apply(params, x) -> y` for x [*batch, dx]. Where there is any number of views, x
        is a sequence of them, in `fit` as well.
      inverse: `inverse(params, y) -> x`, or None where there is none.
      solve: `solve(moments) -> params` from `numerics.JointMoments` of (x, y), for data that
        is streamed or spread over devices; None if second moments do not suffice. `fit` is
        `solve` of the moments of its rows.

    An unpaired transform needs no pairs: x [n, d] and y [m, d] are two clouds of any numbers of
    rows, and its fit is `fit(x, y, where=None, where_y=None)`, `where_y` [m] for the rows of y.
    """

    fit: Callable[..., Any]
    apply: Callable[..., Array]
    inverse: Callable[[Any, ArrayLike], Array] | None = None
    solve: Callable[..., Any] | None = None


class Predictive(NamedTuple):
    """A Gaussian prediction.

    Attributes:
      mean: The prediction of each row, shape [*batch, dy].
      covariance: What is left of y, the same for every row, shape [dy, dy].
    """

    mean: Float[Array, "*batch dy"]
    covariance: Float[Array, "dy dy"]


def predictive(
    t: Transform,
    params: Any,
    x: Float[ArrayLike, "*batch dx"] | Sequence[Float[ArrayLike, "..."]],
) -> Predictive:
    """The prediction of a fitted regression together with the covariance of its error.

    The covariance is that of the residuals y − T(x) over the rows of the fit, divided by their
    number, which is what the parameters keep; it does not know how far `x` is from those rows.

    Args:
      t: A transform that predicts y, such as `ridge` or `cca`.
      params: What its `fit` or `solve` returned.
      x: Rows, shape [*batch, dx], or one array per modality where the transform takes several.

    Returns:
      The mean and the covariance of y given x.

    Raises:
      ValueError: If the parameters keep no residual, as those of `pca`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from crossmodal_jax.transforms import ridge
      >>> x, y = jnp.array([[0.0], [0.0]]), jnp.array([[1.0], [3.0]])
      >>> t = ridge()
      >>> print(predictive(t, t.fit(x, y), x[0]))
      Predictive(mean=Array([2.], dtype=float32), covariance=Array([[1.]], dtype=float32))
    """
    if not hasattr(params, "residual"):
        raise ValueError(
            "predictive: the parameters must keep the covariance of the residual, got "
            f"{type(params).__name__}; use a transform that predicts y, such as ridge."
        )
    return Predictive(t.apply(params, x), params.residual)


def paired_moments(
    name: str,
    x: Float[ArrayLike, "n dx"],
    y: Float[ArrayLike, "n dy"] | None,
    where: Bool[ArrayLike, "n"] | None,
) -> JointMoments:
    """Moments of (x, y), or an error that says what a paired fit needs."""
    x, y = check_both_sides(name, x, y)
    dtype = jnp.promote_types(x.dtype, y.dtype)
    return moments((x.astype(dtype), y.astype(dtype)), where=where)


def paired_rows(
    name: str,
    x: Float[ArrayLike, "n dx"],
    y: Float[ArrayLike, "n dy"] | None,
    where: Bool[ArrayLike, "n"] | None,
) -> tuple[Array, Array, Array]:
    """Pairs with dropped rows 0, in one dtype, float32 at least, and which rows are kept."""
    x, y = check_both_sides(name, x, y)
    keep = check_where(name, where, x.shape[:1])
    dtype = jnp.promote_types(jnp.promote_types(x.dtype, y.dtype), jnp.float32)
    return zero_absent(x.astype(dtype), keep), zero_absent(y.astype(dtype), keep), keep


def unpaired_clouds(
    name: str,
    x: Float[ArrayLike, "n dx"],
    y: Float[ArrayLike, "m dy"] | None,
    where: Bool[ArrayLike, "n"] | None,
    where_y: Bool[ArrayLike, "m"] | None,
    *,
    one_width: bool = True,
) -> tuple[Array, Array, Array, Array]:
    """Two clouds with dropped rows 0, in one dtype, and which of their rows are kept."""
    if y is None:
        raise ValueError(f"{name}: `fit` must have both clouds, got only x; pass y.")
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.ndim != 2 or y.ndim != 2 or (one_width and x.shape[1] != y.shape[1]):
        needed = "matrices [n, d] and [m, d] of one width" if one_width else "matrices"
        raise ValueError(
            f"{name}: `x` and `y` must be {needed}, got x.shape={x.shape} and y.shape={y.shape}; "
            "gromov_wasserstein relates clouds of different widths."
        )
    dtype = jnp.promote_types(jnp.promote_types(x.dtype, y.dtype), jnp.float32)
    keep, keep_y = check_where(name, where, x.shape[:1]), check_where(name, where_y, y.shape[:1])
    return zero_absent(x.astype(dtype), keep), zero_absent(y.astype(dtype), keep_y), keep, keep_y


def check_moments(name: str, state: JointMoments, num_modalities: int) -> None:
    """Raises if `state` does not hold as many modalities as the transform is solved from."""
    if len(state.origins) < num_modalities:
        raise ValueError(
            f"{name}: `solve` needs joint moments of {num_modalities} modalities, got "
            f"{len(state.origins)}; make them by moments((x, y))."
        )


def residual_covariance(
    state: JointMoments, kernel: Float[Array, "dx dy"]
) -> Float[Array, "dy dy"]:
    """Covariance of y − (x − x̄) W over the rows of (x, y), from their moments."""
    xy, xx = covariance(state, 0, 1), covariance(state, 0, 0)
    cross = matmul(kernel.T, xy)
    return covariance(state, 1, 1) - cross - cross.T + matmul(kernel.T, matmul(xx, kernel))


def penalty(s: Float[Array, "d d"], l2: Float[ArrayLike, ""] | float) -> Float[Array, ""]:
    """λ = l2 · mean variance, and at least what makes S + λI definite to working precision.

    Rounding leaves the smallest eigenvalues of a rank-deficient S anywhere within a few eps of
    the largest; λ is therefore at least that much. It matters only for l2 near 0.
    """
    ridge = jnp.asarray(l2, s.dtype) * (jnp.trace(s) / s.shape[0])
    # The Frobenius norm is at least the largest eigenvalue. Of a matrix of zeros, any λ is right.
    norm = safe_norm(s.reshape(-1))
    floor = jnp.where(norm > 0, 8 * jnp.finfo(s.dtype).eps * norm, 1)
    return jnp.maximum(ridge, floor)


def regularised(s: Float[Array, "d d"], l2: Float[ArrayLike, ""] | float) -> Float[Array, "d d"]:
    """S + λI with the λ of `penalty`, positive definite to working precision."""
    return s + penalty(s, l2) * jnp.eye(s.shape[0], dtype=s.dtype)


def affine(
    x: Float[ArrayLike, "*batch d"],
    mean: Float[Array, "d"],
    kernel: Float[Array, "d k"],
    offset: Float[Array, "k"] | None = None,
) -> Float[Array, "*batch k"]:
    """(x − mean) · kernel (+ offset), at the precision of the parameters."""
    dtype = jnp.promote_types(jnp.asarray(x).dtype, mean.dtype)
    centred = jnp.asarray(x, dtype) - mean.astype(dtype)
    result = jnp.matmul(centred, kernel.astype(dtype), precision="highest")
    return result if offset is None else result + offset.astype(dtype)


def matmul(a: Float[Array, "n d"], b: Float[Array, "d k"]) -> Float[Array, "n k"]:
    """The matrix product at highest precision, which Gram matrices and solves need."""
    return jnp.matmul(a, b, precision="highest")
