"""Contrastive losses: what belongs together scores above what does not."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels, numerics
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._inputs import check_views


def clip_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    logit_scale: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "n"] | None = None,
    positives: Bool[ArrayLike, "n n"] | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "n"]:
    """Symmetric softmax contrastive loss (InfoNCE), one value per pair.

    With zᵢⱼ = s·⟨xᵢ, yⱼ⟩ the loss of pair i is ½ (lseⱼ zᵢⱼ + lseⱼ zⱼᵢ) − zᵢᵢ. Inputs are used as
    given: normalise first.

    With several positives, Pᵢ = {j : `positives[i, j]`} and Qᵢ = {j : `positives[j, i]`}, it is
    ½ (lseⱼ zᵢⱼ − mean_{p∈Pᵢ} zᵢₚ) + ½ (lseⱼ zⱼᵢ − mean_{q∈Qᵢ} z_qᵢ): the mean stands outside the
    logarithm and positives stay in the denominator, as in the outside form of SupCon. A row or
    column without a positive adds 0.

    Args:
      x: Embeddings of the first modality, shape [n, d].
      y: Embeddings of the second modality; row i is the match of `x[i]`.
      logit_scale: The scale s (not its logarithm); may be traced.
      where: Pairs to keep, shape [n]. A dropped pair is no anchor *and* no negative.
      positives: True where `x[i]` and `y[j]` match, shape [n, n]; None for the diagonal. Used as
        given: the diagonal matches only where it is True. All [n, n] logits are in memory then.
      precision: As for `kernels.log_sums`; for the diagonal only.
      implementation: As for `kernels.log_sums`, `"streamed"` needs memory linear in n, for the
        gradient too; for the diagonal only.

    Returns:
      Loss per pair, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], or a mask does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(clip_loss(jnp.eye(2), jnp.eye(2), logit_scale=0.0))
      [0.6931472 0.6931472]

    References:
      Radford et al., `Learning Transferable Visual Models From Natural Language Supervision
      <https://arxiv.org/abs/2103.00020>`_, 2021, Fig. 3.

      Khosla et al., `Supervised Contrastive Learning <https://arxiv.org/abs/2004.11362>`_, 2020,
      Eq. 2.
    """
    x, y = check_views("clip_loss", x, y)
    keep = check_where("clip_loss", where, x.shape[:1])
    if positives is None:
        sums = kernels.log_sums(
            x,
            y,
            scale=logit_scale,
            where=keep,
            where_y=keep,
            precision=precision,
            implementation=implementation,
        )
        return (sums.rows + sums.columns) / 2 - sums.matches
    positives = _check_positives(positives, x.shape[0])
    pairs = keep[:, None] & keep[None, :]
    matches = pairs & positives
    logits = numerics.dot_scores(numerics.zero_absent(x, keep), numerics.zero_absent(y, keep))
    logits = logits * jnp.asarray(logit_scale, logits.dtype)
    return (_direction(logits, pairs, matches, 1) + _direction(logits, pairs, matches, 0)) / 2


def siglip_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    logit_scale: Float[ArrayLike, ""] | float = 10.0,
    bias: Float[ArrayLike, ""] | float = -10.0,
    where: Bool[ArrayLike, "n"] | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "n"]:
    """Sigmoid contrastive loss (SigLIP), one value per row.

    With zᵢⱼ = s·⟨xᵢ, yⱼ⟩ + b, whether i and j match is told by σ(zᵢⱼ), and the loss of row i is
    log(1 + exp(−zᵢᵢ)) + Σ_{j≠i} log(1 + exp zᵢⱼ). The mean over the rows is the loss of the paper,
    which is as symmetric as the logits are. Inputs are used as given: normalise first.

    Args:
      x: Embeddings of the first modality, shape [n, d].
      y: Embeddings of the second modality; row i is the match of `x[i]`.
      logit_scale: The scale s (not its logarithm); may be traced. The paper starts at 10.
      bias: The bias b; may be traced. The paper starts at −10, near the odds of a match.
      where: Pairs to keep, shape [n]. A dropped pair is no anchor *and* no negative.
      precision: As for `kernels.softplus_sums`.
      implementation: As for `kernels.softplus_sums`; `"streamed"` needs memory linear in n, for
        the gradient too.

    Returns:
      Loss per row, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], or a mask does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(siglip_loss(jnp.eye(2), jnp.eye(2), logit_scale=0.0, bias=0.0))
      [1.3862944 1.3862944]

    References:
      Zhai et al., `Sigmoid Loss for Language Image Pre-Training
      <https://arxiv.org/abs/2303.15343>`_, 2023, Algorithm 1.
    """
    x, y = check_views("siglip_loss", x, y)
    keep = check_where("siglip_loss", where, x.shape[:1])
    sums = kernels.softplus_sums(
        x,
        y,
        scale=logit_scale,
        bias=bias,
        where=keep,
        where_y=keep,
        precision=precision,
        implementation=implementation,
    )
    return sums.rows - sums.matches


def _check_positives(positives: ArrayLike, num: int) -> Bool[Array, "n n"]:
    positives = jnp.asarray(positives)
    if positives.shape != (num, num) or positives.dtype != jnp.bool_:
        raise ValueError(
            f"clip_loss: `positives` must be boolean with shape [n, n] = {(num, num)}, got "
            f"{positives.dtype} {positives.shape}; entry [i, j] tells whether x[i] matches y[j]."
        )
    return positives


def _direction(
    logits: Float[Array, "n n"],
    pairs: Bool[Array, "n n"],
    matches: Bool[Array, "n n"],
    axis: int,
) -> Float[Array, "n"]:
    """Returns the cross-entropy against the mean over positives; 0 for anchors without one."""
    log_sum = numerics.masked_logsumexp(logits, pairs, axis=axis)
    positive = numerics.masked_mean(logits, matches, axis=axis)
    return jnp.where(jnp.any(matches, axis=axis), log_sum - positive, 0)
