"""The objective of deep canonical correlation analysis."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_choice, check_pairs, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._rows import centred

_OBJECTIVES = ("squared", "sum")


def cca_loss(
    x: Float[ArrayLike, "n dx"],
    y: Float[ArrayLike, "n dy"],
    *,
    l2: Float[ArrayLike, ""] | float = 1e-3,
    objective: str = "squared",
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, ""]:
    """Canonical correlations of two sets of embeddings, negated: one scalar for the whole batch.

    With S the covariances of the kept rows, λ_x = l2 · tr(S_xx)/dx and likewise λ_y, σₖ are the
    min(dx, dy) singular values of (S_xx + λ_x I)^-½ S_xy (S_yy + λ_y I)^-½. `"squared"`, the
    default, is −Σ σₖ²; `"sum"` is −Σ σₖ, the form of the paper. Each lies between −min(dx, dy)
    and 0. As the penalty is relative to the mean variance, the loss changes neither with the
    scale of an embedding nor with the divisor n or n − 1 of the covariances. The paper adds an
    absolute penalty r to covariances divided by n − 1.

    No eigenvectors are differentiated, so equal correlations, dead units and repeated rows have
    finite gradients. `"squared"` is computed as −tr(P_x P_y), P = X (XᵀX + nλI)⁻¹ Xᵀ the hat
    matrix of a ridge regression, by solves of the smaller size: d × d if n ≥ d, which the shapes
    decide, and P = H − nλ (XXᵀ + nλI)⁻¹ on centred rows if n < d. `"sum"` needs a singular value
    decomposition of size dx × dy; a σₖ of 0 adds nothing to its gradient.

    Take batches of several times d rows: with n ≤ d and a small l2 every pair of embeddings
    correlates perfectly.

    Args:
      x: Embeddings of the first modality, shape [n, dx].
      y: Embeddings of the second modality, shape [n, dy]; row i is the match of `x[i]`.
      l2: Relative penalty ≥ 0; may be traced. λ is at least four eps of the norm of S. In
        float32 keep it at 1e-3 or above.
      objective: `"squared"` or `"sum"`.
      where: Rows to keep, shape [n].

    Returns:
      The loss, a scalar, float32 or float64; 0 with fewer than two rows.

    Raises:
      ValueError: If `x` and `y` are not matrices with the same rows, `where` does not fit them,
        or `objective` is unknown.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
      >>> y = jnp.array([[1.0], [0.0], [-1.0], [0.0]])
      >>> print(cca_loss(x, 5 * x + 2, l2=0.0).round(3), cca_loss(x, y, l2=0.0).round(3))
      -2.0 -1.0

    References:
      Andrew et al., Deep Canonical Correlation Analysis, 2013, section 3.
    """
    check_choice("cca_loss", "objective", objective, _OBJECTIVES)
    x, y = check_pairs("cca_loss", x=x, y=y)
    keep = check_where("cca_loss", where, x.shape[:1])
    dtype = np.promote_types(np.promote_types(x.dtype, y.dtype), jnp.float32)
    x, y = (_standard(z.astype(dtype), keep) for z in (x, y))
    l2 = jnp.asarray(l2, dtype)
    if objective == "sum":
        return -_nuclear_norm(x, y, l2)
    if x.shape[0] >= max(x.shape[1], y.shape[1]):
        cross = _matmul(x.T, y)
        to_x = numerics.solve_psd(_regularised(_matmul(x.T, x), l2), cross)
        to_y = numerics.solve_psd(_regularised(_matmul(y.T, y), l2), cross.T)
        return -jnp.sum(to_x * to_y.T)
    return -jnp.sum(_hat_matrix(x, keep, l2) * _hat_matrix(y, keep, l2))


def _standard(x: Float[Array, "n d"], keep: Bool[Array, "n"]) -> Float[Array, "n d"]:
    """Kept rows minus their mean, scaled to Σ xᵢₖ² = d, so that tr(XᵀX)/d = 1; dropped rows 0."""
    x = centred(numerics.zero_absent(x, keep), keep)
    return numerics.safe_divide(x, numerics.safe_norm(x.reshape(-1))) * x.shape[1] ** 0.5


def _nuclear_norm(x: Array, y: Array, l2: Array) -> Float[Array, ""]:
    """Σ σₖ of L_x⁻¹ XᵀY L_y⁻ᵀ with L Lᵀ the regularised Gram matrices."""
    cross = _matmul(x.T, y)
    whiten_x = numerics.inverse_cholesky(_regularised(_matmul(x.T, x), l2))
    whiten_y = numerics.inverse_cholesky(_regularised(_matmul(y.T, y), l2))
    values = jnp.linalg.svd(_matmul(_matmul(whiten_x, cross), whiten_y.T), compute_uv=False)
    # The gradient of a zero among them is any number: it would be that of rounding, magnified
    # by the factors. Below what rounding can make, a value counts as 0, with gradient 0.
    largest = [jnp.max(jnp.linalg.norm(w, axis=1)) for w in (whiten_x, whiten_y)]
    noise = jnp.finfo(x.dtype).eps * numerics.safe_norm(cross.reshape(-1))
    return jnp.sum(jnp.where(values > 2 * noise * largest[0] * largest[1], values, 0))


def _hat_matrix(x: Float[Array, "n d"], keep: Bool[Array, "n"], l2: Array) -> Float[Array, "n n"]:
    """P = X (XᵀX + λI)⁻¹ Xᵀ of standard rows, by a solve of the smaller size."""
    num, width = x.shape
    if num >= width:
        return _matmul(x, numerics.solve_psd(_regularised(_matmul(x.T, x), l2), x.T))
    # P is I − λ (K + λI)⁻¹ on the centred vectors; K (K + λI)⁻¹ loses its gradient, which is of
    # the order of λ, to cancellation. K is 0 on the constant vector: raised there to its mean
    # eigenvalue it is as well conditioned as it can be, and what that adds to P is known.
    kept = keep.astype(x.dtype)
    constant = jnp.outer(kept, kept) / jnp.maximum(jnp.sum(kept), 1)
    raised = width / jnp.maximum(jnp.sum(kept), 1)
    gram = _matmul(x, x.T)
    penalty = _penalty(gram, l2)
    system = gram + raised * constant + penalty * jnp.eye(num, dtype=x.dtype)
    inverse = numerics.solve_psd(system, jnp.diag(kept))
    return jnp.diag(kept) - penalty * inverse - raised / (raised + penalty) * constant


def _penalty(gram: Float[Array, "d d"], l2: Array) -> Float[Array, ""]:
    """λ of a Gram matrix with mean variance 1: at least what its Cholesky factor needs."""
    norm = jax.lax.stop_gradient(numerics.safe_norm(gram.reshape(-1)))
    # Without any variance every λ is right.
    return jnp.maximum(l2, jnp.where(norm > 0, 4 * jnp.finfo(gram.dtype).eps * norm, 1))


def _regularised(gram: Float[Array, "d d"], l2: Array) -> Float[Array, "d d"]:
    return gram + _penalty(gram, l2) * jnp.eye(gram.shape[0], dtype=gram.dtype)


def _matmul(a: Float[Array, "n d"], b: Float[Array, "d k"]) -> Float[Array, "n k"]:
    return jnp.matmul(a, b, precision="highest")
