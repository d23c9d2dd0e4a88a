"""Ridge regression under many penalties, and its exact leave-one-out predictions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import (
    JointMoments,
    covariance,
    inverse_cholesky,
    safe_divide,
    zero_absent,
)
from crossmodal_jax.transforms._ridge import Ridge, ridge, solve_ridge
from crossmodal_jax.transforms._transform import (
    check_moments,
    matmul,
    paired_moments,
    penalty,
    regularised,
    residual_covariance,
)


def ridge_path(moments: JointMoments, l2s: Float[ArrayLike, "m"]) -> Ridge:
    """Fits `ridge` under many penalties from one decomposition.

    With S_xx = V Λ Vᵀ, W(λ) = V (Λ + λI)⁻¹ Vᵀ S_xy: after the decomposition each further
    penalty costs two matrix products. The parameters are those of `ridge(l2=l2).solve(moments)`
    for each l2, its gradients too.

    Args:
      moments: Moments of (x, y), such as `numerics.moments((x, y), where=where)`.
      l2s: Relative penalties ≥ 0, shape [m]; see `ridge`.

    Returns:
      `Ridge` whose arrays have a leading axis [m]. Map `ridge().apply` over it.

    Raises:
      ValueError: If `moments` has fewer than two modalities, or `l2s` is no vector.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax.numerics import moments
      >>> x = jnp.array([[-1.0], [1.0]])
      >>> params = ridge_path(moments((x, 6 * x)), jnp.array([0.0, 1.0, 2.0]))
      >>> print(jnp.rint(params.kernel.ravel()))
      [6. 3. 2.]
      >>> jax.vmap(ridge().apply, in_axes=(0, None))(params, x).shape
      (3, 2, 1)
    """
    check_moments("ridge_path", moments, 2)
    l2s = jnp.asarray(l2s)
    if l2s.ndim != 1:
        raise ValueError(
            f"ridge_path: `l2s` must be a vector [m], got l2s.shape={l2s.shape}; for one penalty "
            "use ridge(l2=l2).solve(moments)."
        )
    s, cross = covariance(moments, 0, 0), covariance(moments, 0, 1)
    # Constants under differentiation: the solve below has the derivative of W itself, in which
    # no difference of eigenvalues occurs.
    values, vectors = jax.lax.stop_gradient(jnp.linalg.eigh(s))
    values = jnp.maximum(values, 0)

    def solve(l2: Float[Array, ""]) -> Ridge:
        level = penalty(s, l2)
        scales = jax.lax.stop_gradient(values + level)[:, None]
        kernel = jax.lax.custom_linear_solve(
            lambda w: matmul(s, w) + level * w,
            cross,
            lambda _, b: matmul(vectors, matmul(vectors.T, b) / scales),
            symmetric=True,
        )
        mean, offset = moments.means[:2]
        return Ridge(mean, kernel, offset, residual_covariance(moments, kernel))

    return jax.vmap(solve)(l2s)


def ridge_leave_one_out(
    x: Float[ArrayLike, "n dx"],
    y: Float[ArrayLike, "n dy"],
    *,
    l2: Float[ArrayLike, ""] | float = 1e-2,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, "n dy"]:
    """Predicts each row by the ridge regression on the other rows, exactly, from one fit.

    With ŷ the predictions of `ridge` and hᵢ = 1/n + (xᵢ − x̄)ᵀ (S_xx + λI)⁻¹ (xᵢ − x̄) / n the
    leverages, the mean not penalised, the prediction without row i is (ŷᵢ − hᵢ yᵢ) / (1 − hᵢ).
    The means x̄ and ȳ are those of the other rows, too. What stays fixed is the penalty λn of
    the sum of squares (alpha of scikit-learn) with the λ = l2 · tr(S_xx)/dx of all rows; a
    refit on n − 1 rows with the same `l2` has another one.

    Args:
      x: Rows, shape [n, dx].
      y: Targets, shape [n, dy].
      l2: Relative penalty ≥ 0, see `ridge`; may be traced, and mapped by `jax.vmap`.
      where: Rows to keep, shape [n]. A dropped row is in no fit.

    Returns:
      The predictions, shape [n, dy]; 0 where a row is dropped, or is the only one.

    Raises:
      ValueError: If x and y are not matrices with the same number of rows.

    Examples:
      >>> import jax.numpy as jnp
      >>> y = jnp.array([[0.0], [3.0], [6.0]])
      >>> print(jnp.round(ridge_leave_one_out(jnp.ones((3, 1)), y), 4).ravel())
      [4.5 3.  1.5]

    References:
      Golub, Heath and Wahba, Generalized Cross-Validation as a Method for Choosing a Good
      Ridge Parameter, 1979.
    """
    moments = paired_moments("ridge_leave_one_out", x, y, where)
    dtype = moments.offsets[0].dtype
    keep = check_where("ridge_leave_one_out", where, jnp.shape(x)[:1])
    x, y = (zero_absent(z, keep).astype(dtype) for z in (x, y))
    predicted = ridge().apply(solve_ridge(moments, l2), x)
    white = matmul(
        zero_absent((x - moments.origins[0]) - moments.offsets[0], keep),
        inverse_cholesky(regularised(covariance(moments, 0, 0), l2)).T,
    )
    count = jnp.maximum(moments.count, 1).astype(dtype)
    leverage = (1 + jnp.sum(white * white, axis=1, keepdims=True)) / count
    return zero_absent(safe_divide(predicted - leverage * y, 1 - leverage), keep)
