"""One modality reads the others: cross-attention from its tokens to theirs."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._tokens import (
    check_options,
    clean_tokens,
    init_projection,
    join,
    pool,
    project,
)
from crossmodal_jax.fusion._transformer import (
    NormWeights,
    TransformerBlockWeights,
    init_blocks,
    init_norm,
    transformer_block,
)


class CrossAttentionWeights(NamedTuple):
    """Weights of `cross_attention`.

    Attributes:
      kernels: Linear map of the tokens of each modality, shapes [d_m, dim].
      biases: Bias of each of those maps, shape [m, dim].
      blocks: One transformer block per layer.
      norm: Layer norm of the pooled tokens.
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    biases: Float[Array, "m dim"]
    blocks: tuple[TransformerBlockWeights, ...]
    norm: NormWeights


def init_cross_attention(
    key: Array, dims: Sequence[int], dim: int, *, num_heads: int = 4, num_layers: int = 1
) -> CrossAttentionWeights:
    """Initial weights of `cross_attention`.

    Kernels have variance 1 / fan-in and biases are zero. The final layer norm gives the result a
    mean square of 1.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the tokens of the modalities.
      dim: Width of the blocks and of the result, at least 2.
      num_heads: Heads of each attention, of ⌈dim / num_heads⌉ features.
      num_layers: Number of blocks.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim], biases [m, dim], `num_layers` blocks with
      a hidden layer of 4·dim units, and the final norm.

    Raises:
      ValueError: If there is no modality, a width or a number is not positive, or `dim` is 1.

    Examples:
      >>> import jax
      >>> weights = init_cross_attention(jax.random.key(0), (3, 5), 8)
      >>> print([kernel.shape for kernel in weights.kernels], weights.blocks[0].query.shape)
      [(3, 8), (5, 8)] (8, 4, 2)
    """
    check_options("cross_attention", dims, dim, num_heads=num_heads, num_layers=num_layers)
    projection_key, blocks_key = jax.random.split(key)
    kernels, biases = init_projection(projection_key, dims, dim)
    blocks = init_blocks(blocks_key, num_layers, dim, num_heads)
    return CrossAttentionWeights(kernels, biases, blocks, init_norm(dim))


def cross_attention(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: CrossAttentionWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch dim"]:
    """Tokens of the first modality attend to those of all others; their mean is the result.

    With h = x₁W₁ + b₁ and the context c = [x₂W₂ + b₂; …; x_MW_M + b_M] along the tokens, every
    layer is a pre-norm block, h ← h + A(LN h, LN c), then h ← h + F(LN h), where A is multi-head
    attention to the tokens of c that exist and F(u) = V₂ GELU(V₁u + v₁) + v₂ with 4·dim hidden
    units. z is the layer norm of the mean of the tokens h that exist. For two modalities this is
    one of the two streams of ViLBERT. The order of the tokens does not matter; where it should,
    add positions to them first.

    Deviations from the papers: the norm stands before each branch instead of after its sum, the
    tokens and their context share it, attention maps have no bias, and there is no dropout.

    Absence: an absent modality after the first gives no keys. With no key at all the attention
    adds exactly nothing and z is a function of x₁ alone. Without the first modality there is no
    one to read: zeros, as when all are absent. A modality without any token is absent.

    Cost: Σ d_m·dim + L(12·dim² + 9·dim) + (M + 2)·dim weights for L layers, if `dim` is a
    multiple of the heads. Forward 2·Σ t_m·d_m·dim + L(20·t₁ + 4·s)·dim² + 4L·t₁·s·dim FLOPs per
    sample, where s = t₂ + … + t_M; temporaries of heads·t₁·s attention weights and 4·t₁·dim
    hidden units per sample.

    Choose it when one modality is the subject and the others inform it, as a question that is
    answered from a picture. If any modality may be missing, `early_transformer` and `bottleneck`
    treat all alike.

    Args:
      xs: One array of tokens per modality, shapes [*batch, t_m, d_m]; the batch axes broadcast.
      weights: Weights as made by `init_cross_attention`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      where: One mask per modality, True where a token exists, shapes that broadcast to
        [*batch, t_m]; None for a modality, or for all, whose tokens all exist.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where the
      first modality is absent.

    Raises:
      ValueError: If the shapes of the modalities, `weights`, `present` or `where` disagree.
      TypeError: If a modality is not floating point or a mask is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_cross_attention(jax.random.key(0), (3, 5), 8)
      >>> xs = [jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]
      >>> print(cross_attention(xs, weights).shape)
      (2, 8)

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_, 2017; Lu
      et al., `ViLBERT <https://arxiv.org/abs/1908.02265>`_, 2019.
    """
    tokens, mask = _read("cross_attention", xs, weights, present, where)
    return pool(tokens, mask, weights.norm)


def cross_attention_tokens(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: CrossAttentionWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch t dim"]:
    """The tokens whose mean `cross_attention` normalises, for what goes on with a sequence.

    Args:
      xs: One array of tokens per modality, shapes [*batch, t_m, d_m]; the batch axes broadcast.
      weights: Weights of `cross_attention`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      where: One mask per modality, True where a token exists, shapes that broadcast to
        [*batch, t_m]; None for a modality, or for all, whose tokens all exist.

    Returns:
      The tokens of the first modality after the last block, shape [*batch, t_1, dim], in the
      dtype of the inputs; zeros where a token does not exist.

    Raises:
      ValueError: If the shapes of the modalities, `weights`, `present` or `where` disagree.
      TypeError: If a modality is not floating point or a mask is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_cross_attention(jax.random.key(0), (3, 5), 8)
      >>> xs = [jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]
      >>> print(cross_attention_tokens(xs, weights).shape)
      (2, 4, 8)
    """
    tokens, mask = _read("cross_attention_tokens", xs, weights, present, where)
    return numerics.zero_absent(tokens, mask)


def _read(
    name: str,
    xs: Sequence[ArrayLike],
    weights: CrossAttentionWeights,
    present: ArrayLike | None,
    where: Sequence[ArrayLike | None] | None,
) -> tuple[Float[Array, "*batch t dim"], Bool[Array, "*batch t"]]:
    """Returns the tokens of the first modality after the last block, and which of them exist."""
    xs, masks = clean_tokens(name, xs, present, where)
    tokens, *others = project("cross_attention", xs, weights.kernels, weights.biases)
    # A single modality reads an empty sequence.
    context, keys = join([tokens[..., :0, :], *others], [masks[0][..., :0], *masks[1:]])
    for layer in weights.blocks:
        tokens = transformer_block(tokens, layer, keys, context=context)
    return tokens, masks[0]
