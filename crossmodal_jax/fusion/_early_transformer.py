"""All tokens in one sequence: a transformer over whatever is there."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
from jaxtyping import Array, Bool, Float

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


class EarlyTransformerWeights(NamedTuple):
    """Weights of `early_transformer`.

    Attributes:
      kernels: Linear map of the tokens of each modality, shapes [d_m, dim].
      biases: Embedding of each modality, added to its tokens, shape [m, dim].
      blocks: One transformer block per layer.
      norm: Layer norm of the pooled tokens.
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    biases: Float[Array, "m dim"]
    blocks: tuple[TransformerBlockWeights, ...]
    norm: NormWeights


def init_early_transformer(
    key: Array, dims: Sequence[int], dim: int, *, num_heads: int = 4, num_layers: int = 2
) -> EarlyTransformerWeights:
    """Initial weights of `early_transformer`.

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
      >>> weights = init_early_transformer(jax.random.key(0), (3, 5), 8)
      >>> print([kernel.shape for kernel in weights.kernels], len(weights.blocks))
      [(3, 8), (5, 8)] 2
    """
    check_options("early_transformer", dims, dim, num_heads=num_heads, num_layers=num_layers)
    projection_key, blocks_key = jax.random.split(key)
    kernels, biases = init_projection(projection_key, dims, dim)
    blocks = init_blocks(blocks_key, num_layers, dim, num_heads)
    return EarlyTransformerWeights(kernels, biases, blocks, init_norm(dim))


def early_transformer(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: EarlyTransformerWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch dim"]:
    """Self-attention over the tokens of all modalities; their mean is the result.

    With h = [x₁W₁ + b₁; …; x_MW_M + b_M] along the tokens, where bᵢ is the embedding of modality
    i, every layer is a pre-norm block, h ← h + A(LN h), then h ← h + F(LN h): A is multi-head
    self-attention among the tokens that exist and F(u) = V₂ GELU(V₁u + v₁) + v₂ with 4·dim hidden
    units. z is the layer norm of the mean of the tokens that exist. The order of the tokens does
    not matter; where it should, add positions to them first.

    Deviations from the paper: the norm stands before each branch instead of after its sum,
    attention maps have no bias, there is no dropout, and the mean takes the place of a class
    token.

    Absence: an absent modality gives no token, and the result is that of the others alone; all
    absent: zeros. A modality without any token is absent.

    Cost: Σ d_m·dim + L(12·dim² + 9·dim) + (M + 2)·dim weights for L layers, if `dim` is a
    multiple of the heads. Forward 2·Σ t_m·d_m·dim + 24L·t·dim² + 4L·t²·dim FLOPs per sample, where
    t = Σ t_m; temporaries of heads·t² attention weights and 4·t·dim hidden units per sample.

    Choose it when sequences are short or any token may matter to any other. Its cost grows with
    the square of the total length; `bottleneck` and `perceiver` avoid that.

    Args:
      xs: One array of tokens per modality, shapes [*batch, t_m, d_m]; the batch axes broadcast.
      weights: Weights as made by `init_early_transformer`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      where: One mask per modality, True where a token exists, shapes that broadcast to
        [*batch, t_m]; None for a modality, or for all, whose tokens all exist.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present.

    Raises:
      ValueError: If the shapes of the modalities, `weights`, `present` or `where` disagree.
      TypeError: If a modality is not floating point or a mask is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_early_transformer(jax.random.key(0), (3, 5), 8)
      >>> xs = [jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]
      >>> print(early_transformer(xs, weights).shape)
      (2, 8)

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_, 2017.
    """
    xs, masks = clean_tokens("early_transformer", xs, present, where)
    projected = project("early_transformer", xs, weights.kernels, weights.biases)
    tokens, mask = join(projected, masks)
    for layer in weights.blocks:
        tokens = transformer_block(tokens, layer, mask)
    return pool(tokens, mask, weights.norm)
