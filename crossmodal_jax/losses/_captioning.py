"""Cross-entropy over a vocabulary whose logits are never in memory."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import kernels
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike


def token_cross_entropy(
    hidden: Float[ArrayLike, "*batch d"],
    vocabulary: Float[ArrayLike, "v d"],
    labels: Int[ArrayLike, "*batch"],
    *,
    logit_scale: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "*batch"] | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy of the next token, from hidden states and the vectors of a vocabulary.

    With zₜⱼ = s·⟨hₜ, vⱼ⟩ the loss of token t is log Σⱼ exp zₜⱼ − zₜₗ for its label l: the
    captioning term of CoCa, and the loss of every language model. Logits of 16,384 tokens over
    131,072 words would take 8 GiB; streamed, neither they nor their gradient exist.

    Args:
      hidden: Last hidden states, shape [*batch, d].
      vocabulary: One vector for each word, shape [v, d]: the transposed kernel of the last layer,
        or tied embeddings. A bias is a further column, beside a column of ones of `hidden`.
      labels: The right words, shape [*batch].
      logit_scale: The scale s; may be traced.
      where: Tokens to keep, shape [*batch]; leave the padding out.
      precision: As for `kernels.log_sums`.
      implementation: As for `kernels.log_sums`; `"streamed"` needs memory linear in the tokens
        and the words, for the gradient too.

    Returns:
      Loss per token, shape [*batch], float32 or float64; 0 where dropped, NaN for a label that is
      no word.

    Raises:
      ValueError: If the widths of `hidden` and `vocabulary` differ, or `labels` or `where` do not
        fit `hidden`.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> hidden = jnp.zeros((2, 3, 4))
      >>> loss = token_cross_entropy(hidden, jnp.ones((5, 4)), jnp.zeros((2, 3), int))
      >>> print(loss.shape, jnp.exp(loss[0, 0]).round(3))
      (2, 3) 5.0

    References:
      Yu et al., `CoCa: Contrastive Captioners are Image-Text Foundation Models
      <https://arxiv.org/abs/2205.01917>`_, 2022, Eq. 3.
    """
    name = "token_cross_entropy"
    hidden, vocabulary, labels = (jnp.asarray(v) for v in (hidden, vocabulary, labels))
    batch = hidden.shape[:-1]
    if vocabulary.ndim != 2 or hidden.ndim < 1 or hidden.shape[-1] != vocabulary.shape[1]:
        raise ValueError(
            f"{name}: `hidden` and `vocabulary` must be [*batch, d] and [v, d], got "
            f"hidden.shape={hidden.shape} and vocabulary.shape={vocabulary.shape}; transpose a "
            "kernel [d, v]."
        )
    if labels.shape != batch or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"{name}: `labels` must be one whole number for each of the tokens {batch}, got "
            f"{labels.dtype} {labels.shape}; pass the number of the next word."
        )
    keep = check_where(name, where, batch)
    num_words = vocabulary.shape[0]
    known = (labels >= 0) & (labels < num_words)
    # Words in slabs, each against all tokens: a row of all words may be too long for one.
    sums = kernels.label_log_sums(
        vocabulary,
        hidden.reshape(math.prod(batch), -1),
        labels=jnp.arange(num_words),
        labels_y=labels.astype(int).reshape(-1),
        scale=logit_scale,
        where_y=keep.reshape(-1),
        precision=precision,
        implementation=implementation,
    )
    loss = (sums.columns - sums.column_matches).reshape(batch)
    return jnp.where(keep, jnp.where(known, loss, jnp.nan), 0)
