"""The Eckart–Young form of canonical correlation: an objective without constraints."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._rows import centred, matmul, paired_rows


def eigengame_loss(
    xs: Sequence[Float[ArrayLike, "n d"]], *, where: Bool[ArrayLike, "n"] | None = None
) -> Float[Array, ""]:
    """Eckart–Young loss of multiview CCA, any number of views, one scalar for the whole batch.

    It is −2 tr C + tr V² with C = 1/M Σᵢⱼ Cov(xᵢ, xⱼ) over all pairs of views, a view with itself
    included, and V = 1/M Σᵢ Cov(xᵢ, xᵢ); covariances are divided by n − 1.

    Over linear maps to d dimensions its minimum is −Σₖ λₖ² over the d largest eigenvalues of the
    multiset CCA problem, which for two views are 1 + ρₖ with ρₖ the canonical correlations, and
    the maps that reach it span the subspaces of CCA. Unlike `cca_loss` it is a polynomial, without
    solve or penalty, and sets the scale of the embeddings; it does not see a rotation of all.
    As tr V² is convex in V, its mean over small batches lies above that of a large one.

    Args:
      xs: One embedding per view, M ≥ 2 of shape [n, d]; row i of each is the same sample.
      where: Rows to keep, shape [n].

    Returns:
      The loss, a scalar, float32 or float64; 0 with fewer than two rows.

    Raises:
      ValueError: If there are fewer than two views, they do not share one shape [n, d], or
        `where` does not fit them.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0], [0.0], [-1.0]])
      >>> print(eigengame_loss([x, x]), eigengame_loss([2**0.5 * x, 2**0.5 * x]).round(3))
      -3.0 -4.0

    References:
      Chapman et al., `Unconstrained Stochastic CCA: Unifying Multiview and Self-Supervised Learning
      <https://arxiv.org/abs/2310.01012>`_, 2024.
    """
    if isinstance(xs, ArrayLike) or len(xs) < 2:
        got = f"one array of shape {xs.shape}" if isinstance(xs, ArrayLike) else f"{len(xs)}"
        raise ValueError(
            f"eigengame_loss: `xs` must be a sequence of two views or more, got {got}; "
            "pass them as [x, y]."
        )
    views, keep = paired_rows("eigengame_loss", {f"xs[{i}]": x for i, x in enumerate(xs)}, where)
    # Divided before they are multiplied, so that sums over many rows stay small.
    divisor = len(xs) * jnp.maximum(jnp.sum(keep, dtype=views[0].dtype) - 1, 1)
    views = [centred(x, keep) / jnp.sqrt(divisor) for x in views]
    # The sum over pairs of views is the covariance of the sum of all views.
    total, stacked = sum(views), jnp.concatenate(views)
    common = jnp.sum(total * total)
    within = matmul(stacked.T, stacked)
    return jnp.sum(within * within) - 2 * common
