"""The softmax contrastive loss that looks at hard negatives more."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._inputs import check_views, own_scores
from crossmodal_jax.numerics import zero_absent


def hard_negative_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    logit_scale: Float[ArrayLike, ""] | float = 1.0,
    hardness: Float[ArrayLike, ""] | float = 0.25,
    positive_weight: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "n"] | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "n"]:
    """Softmax contrastive loss with weights on the negatives (HN-NCE), one value per pair.

    With zᵢⱼ = s·⟨xᵢ, yⱼ⟩ a direction of the loss of pair i is
    log(α exp zᵢᵢ + Σ_{j≠i} wᵢⱼ exp zᵢⱼ) − zᵢᵢ, where wᵢⱼ = (n − 1) exp(β zᵢⱼ) / Σ_{k≠i} exp(β zᵢₖ)
    adds up to the number of negatives; the loss is the mean over x → y and y → x. β = 0 and α = 1
    make it `clip_loss`. The weights are part of the gradient. As sums of them are log-sums at the
    scales (1 + β) s and β s, two passes are made. Inputs are used as given: normalise first.

    Args:
      x: Embeddings of the first modality, shape [n, d].
      y: Embeddings of the second modality; row i is the match of `x[i]`.
      logit_scale: The scale s (not its logarithm); may be traced.
      hardness: The concentration β ≥ 0 on hard negatives; may be traced.
      positive_weight: The weight α in (0, 1] of the positive in the denominator; may be traced.
      where: Pairs to keep, shape [n]. A dropped pair is no anchor *and* no negative.
      precision: As for `kernels.log_sums`.
      implementation: As for `kernels.log_sums`; `"streamed"` needs memory linear in n, for the
        gradient too.

    Returns:
      Loss per pair, shape [n], float32 or float64; 0 where dropped, and log α without negatives.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], or `where` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(hard_negative_loss(jnp.eye(2), jnp.eye(2), logit_scale=0.0))
      [0.6931472 0.6931472]

    References:
      Radenovic et al., `Filtering, Distillation, and Hard Negatives for Vision-Language
      Pre-Training <https://arxiv.org/abs/2301.02280>`_, 2023.
    """
    name = "hard_negative_loss"
    x, y = check_views(name, x, y)
    keep = check_where(name, where, x.shape[:1])
    dtype = np.promote_types(np.promote_types(x.dtype, y.dtype), jnp.float32)
    scale, beta, alpha = (jnp.asarray(v, dtype) for v in (logit_scale, hardness, positive_weight))

    def log_sums(scale: Array) -> kernels.LogSums:
        return kernels.log_sums(
            x,
            y,
            scale=scale,
            where=keep,
            where_y=keep,
            exclude=jnp.arange(x.shape[0]),
            precision=precision,
            implementation=implementation,
        )

    weighted, weights = log_sums(scale * (1 + beta)), log_sums(scale * beta)
    num_negatives = jnp.sum(keep) - 1
    log_number = jnp.log(jnp.maximum(num_negatives, 1).astype(dtype))
    own = zero_absent(scale * own_scores(x, y, keep, precision), keep)

    def direction(weighted: Array, weights: Array) -> Array:
        negatives = jnp.where(num_negatives > 0, log_number + weighted - weights, -jnp.inf)
        return jnp.logaddexp(jnp.log(alpha) + own, negatives) - own

    rows = direction(weighted.rows, weights.rows)
    columns = direction(weighted.columns, weights.columns)
    return zero_absent((rows + columns) / 2, keep)
