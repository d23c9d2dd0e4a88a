"""From tokens to a sequence of another kind and length, all of it at once."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import check_positive, linear
from crossmodal_jax.fusion._tokens import (
    check_options,
    clean_tokens,
    init_projection,
    join,
    positions,
    project,
)
from crossmodal_jax.fusion._transformer import (
    NormWeights,
    TransformerBlockWeights,
    init_blocks,
    init_norm,
    layer_norm,
    transformer_block,
)


class TranslatorWeights(NamedTuple):
    """Weights of `translator`.

    Attributes:
      kernels: Linear map of the tokens of each modality, shapes [d_m, dim].
      biases: Embedding of each modality, added to its tokens, shape [m, dim].
      blocks: One block of self-attention per layer, among the tokens.
      queries: What stands for each token of the result at first, shape [t, dim].
      readers: One block of cross-attention per layer, from the queries to the tokens.
      norm: Layer norm of the queries once they have read.
      out_kernel: Linear map to the tokens of the result, shape [dim, d].
      out_bias: Bias of that map, shape [d].
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    biases: Float[Array, "m dim"]
    blocks: tuple[TransformerBlockWeights, ...]
    queries: Float[Array, "t dim"]
    readers: tuple[TransformerBlockWeights, ...]
    norm: NormWeights
    out_kernel: Float[Array, "dim d"]
    out_bias: Float[Array, "d"]


def init_translator(
    key: Array,
    dims: Sequence[int],
    dim: int,
    *,
    num_tokens: int,
    dim_out: int,
    num_heads: int = 4,
    num_layers: int = 1,
) -> TranslatorWeights:
    """Initial weights of `translator`.

    Kernels have variance 1 / fan-in, biases are zero, and queries are normal with variance 1 as
    the tokens are that they read. The tokens of the result then have a variance of 1.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the tokens of the modalities.
      dim: Width of the blocks, at least 2.
      num_tokens: Number of tokens of the result.
      dim_out: Width of the tokens of the result.
      num_heads: Heads of each attention, of ⌈dim / num_heads⌉ features.
      num_layers: Number of blocks of either kind.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim], biases [m, dim], queries
      [num_tokens, dim], `num_layers` blocks of either kind with a hidden layer of 4·dim units, a
      norm, and a last map [dim, dim_out].

    Raises:
      ValueError: If there is no modality, a width or a number is not positive, or `dim` is 1.

    Examples:
      >>> import jax
      >>> weights = init_translator(jax.random.key(0), (3, 5), 8, num_tokens=6, dim_out=2)
      >>> print(weights.queries.shape, weights.out_kernel.shape)
      (6, 8) (8, 2)
    """
    check_options("translator", dims, dim, num_heads=num_heads, num_layers=num_layers)
    check_positive("init_translator", num_tokens=num_tokens, dim_out=dim_out)
    projection_key, blocks_key, queries_key, readers_key, out_key = jax.random.split(key, 5)
    kernels, biases = init_projection(projection_key, dims, dim)
    return TranslatorWeights(
        kernels=kernels,
        biases=biases,
        blocks=init_blocks(blocks_key, num_layers, dim, num_heads),
        queries=jax.random.normal(queries_key, (num_tokens, dim), jnp.float32),
        readers=init_blocks(readers_key, num_layers, dim, num_heads),
        norm=init_norm(dim),
        out_kernel=jax.random.normal(out_key, (dim, dim_out), jnp.float32) * dim**-0.5,
        out_bias=jnp.zeros(dim_out, jnp.float32),
    )


def translator(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: TranslatorWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch t d"]:
    """A sequence of its own length and width, each token of which reads the tokens of all xs.

    With c = [x₁W₁ + b₁ + p; …; x_MW_M + b_M + p] along the tokens, where bᵢ is the embedding of
    modality i and p the sinusoidal positions of `mult`, counted in each modality by itself, every
    layer is a pre-norm block among the tokens, c ← c + A(LN c), then c ← c + F(LN c). Then
    learned queries h read them: every layer takes h ← h + A(LN h, LN c), then h ← h + F(LN h).
    The result is LN(h)·O + o. A is multi-head attention to the tokens that exist and
    F(u) = V₂ GELU(V₁u + v₁) + v₂ with 4·dim hidden units.

    No token of the result sees another: it is no language model, and where several results are
    right it gives their mean.

    Deviations from the papers: all tokens of the result are made at once, queries and tokens share
    the norm of the block in which they meet, the norm stands before each branch instead of after
    its sum, attention maps have no bias, and there is no dropout.

    Absence: an absent modality gives no key, and the result is that of the others alone. All
    absent: what the queries say by themselves, the same for every sample.

    Cost: Σ d_m·dim + 2L(12·dim² + 9·dim) + (M + t + 2)·dim + (dim + 1)·d weights for L layers and
    t tokens of width d, if `dim` is a multiple of the heads; temporaries of heads·s·(s + t)
    attention weights per sample, where s = Σ t_m.

    Choose it where the result is a sequence whose length is known, such as one time series from
    another. For one vector choose `early_transformer`.

    Args:
      xs: One array of tokens per modality, shapes [*batch, t_m, d_m]; the batch axes broadcast.
      weights: Weights as made by `init_translator`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      where: One mask per modality, True where a token exists, shapes that broadcast to
        [*batch, t_m]; None for a modality, or for all, whose tokens all exist.

    Returns:
      The tokens of the result, shape [*batch, t, d], in the dtype of the inputs.

    Raises:
      ValueError: If the shapes of the modalities, `weights`, `present` or `where` disagree.
      TypeError: If a modality is not floating point or a mask is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_translator(jax.random.key(0), (3, 5), 8, num_tokens=7, dim_out=2)
      >>> xs = [jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]
      >>> print(translator(xs, weights).shape)
      (2, 7, 2)

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_, 2017;
      Jaegle et al., `Perceiver <https://arxiv.org/abs/2103.03206>`_, 2021, for queries that are
      learned.
    """
    xs, masks = clean_tokens("translator", xs, present, where)
    projected = project("translator", xs, weights.kernels, weights.biases)
    placed = [c + positions(mask, c) for c, mask in zip(projected, masks, strict=True)]
    tokens, mask = join(placed, masks)
    for layer in weights.blocks:
        tokens = transformer_block(tokens, layer, mask)
    queries = weights.queries.astype(tokens.dtype)
    queries = jnp.broadcast_to(queries, (*tokens.shape[:-2], *queries.shape))
    for reader in weights.readers:
        queries = transformer_block(queries, reader, mask, context=tokens)
    result = linear(layer_norm(queries, weights.norm), weights.out_kernel)
    return (result + weights.out_bias.astype(result.dtype)).astype(tokens.dtype)
