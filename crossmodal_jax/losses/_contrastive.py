"""Contrastive losses: what belongs together scores above what does not."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels
from crossmodal_jax._checks import check_positives, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._inputs import check_views
from crossmodal_jax.losses._supervised import supcon_loss


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
        given: the diagonal matches only where it is True.
      precision: As for `kernels.log_sums`.
      implementation: As for `kernels.log_sums`; `"streamed"` needs memory linear in n beside
        `positives`, for the gradient too.

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
    return supcon_loss(
        x,
        y,
        positives=check_positives("clip_loss", positives, (x.shape[0], x.shape[0])),
        logit_scale=logit_scale,
        where=keep,
        precision=precision,
        implementation=implementation,
    )


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
