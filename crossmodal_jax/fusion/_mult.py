"""Every modality reads every other one by itself: directional pairwise cross-attention."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import linear
from crossmodal_jax.fusion._tokens import (
    check_options,
    clean_tokens,
    init_projection,
    pool,
    positions,
    project,
)
from crossmodal_jax.fusion._transformer import (
    NormWeights,
    TransformerBlockWeights,
    init_blocks,
    init_norm,
    transformer_block,
)


class MultWeights(NamedTuple):
    """Weights of `mult`. Below, wide = max(m − 1, 1)·dim.

    Attributes:
      kernels: Linear map of the tokens of each modality, shapes [d_m, dim].
      biases: Bias of each of those maps, shape [m, dim].
      readers: For each modality a, for each other modality b in order, one block of
        cross-attention per layer, from the tokens of a to those of b.
      blocks: For each modality, one block of self-attention of width `wide` per layer.
      norms: For each modality, the layer norm of its pooled tokens, of width `wide`.
      out_kernel: Linear map of the concatenated modalities, shape [m, wide, dim].
      out_bias: Bias of that map, shape [dim].
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    biases: Float[Array, "m dim"]
    readers: tuple[tuple[tuple[TransformerBlockWeights, ...], ...], ...]
    blocks: tuple[tuple[TransformerBlockWeights, ...], ...]
    norms: tuple[NormWeights, ...]
    out_kernel: Float[Array, "m wide dim"]
    out_bias: Float[Array, "dim"]


def init_mult(
    key: Array, dims: Sequence[int], dim: int, *, num_heads: int = 4, num_layers: int = 1
) -> MultWeights:
    """Initial weights of `mult`.

    Kernels have variance 1 / fan-in and biases are zero. As the pooled tokens are normalised, the
    result has a variance of k/M when k of the M modalities are present.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the tokens of the modalities.
      dim: Width of the tokens that meet and of the result, at least 2.
      num_heads: Heads of each attention, of ⌈width / num_heads⌉ features.
      num_layers: Blocks of each ordered pair, and again of each modality.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim], biases [m, dim], `num_layers` blocks per
      ordered pair and per modality, m norms, and the last map of shapes [m, wide, dim] and [dim].

    Raises:
      ValueError: If there is no modality, a width or a number is not positive, or `dim` is 1.

    Examples:
      >>> import jax
      >>> weights = init_mult(jax.random.key(0), (3, 5, 4), 8)
      >>> print([len(pairs) for pairs in weights.readers], weights.out_kernel.shape)
      [2, 2, 2] (3, 16, 8)
    """
    check_options("mult", dims, dim, num_heads=num_heads, num_layers=num_layers)
    num = len(dims)
    others = num - 1
    wide = max(others, 1) * dim
    projection_key, readers_key, blocks_key, out_key = jax.random.split(key, 4)
    kernels, biases = init_projection(projection_key, dims, dim)
    reader_keys = jax.random.split(readers_key, (num, max(others, 1)))
    return MultWeights(
        kernels=kernels,
        biases=biases,
        readers=tuple(
            tuple(init_blocks(k, num_layers, dim, num_heads) for k in row[:others])
            for row in reader_keys
        ),
        blocks=tuple(
            init_blocks(k, num_layers, wide, num_heads) for k in jax.random.split(blocks_key, num)
        ),
        norms=tuple(init_norm(wide) for _ in dims),
        out_kernel=jax.random.normal(out_key, (num, wide, dim), jnp.float32) * (num * wide) ** -0.5,
        out_bias=jnp.zeros(dim, jnp.float32),
    )


def mult(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: MultWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch dim"]:
    """Multimodal transformer (MulT): every modality attends to every other, pair by pair.

    hᵢ = xᵢWᵢ + bᵢ plus sinusoidal positions. For each ordered pair a ← b a stack of pre-norm
    blocks of cross-attention takes h ← h + A(LN h, LN h_b), then h ← h + F(LN h), from h = h_a;
    the h_b that is read is the same in all layers. The results over b stand side by side as the
    tokens of a, of width (M − 1)·dim, which attend to each other in a second stack of blocks.
    z = Σ_a O_a LN(mean of the tokens of a that exist) + o, which is a linear map of the
    concatenation over a. A is multi-head attention to the tokens that exist and
    F(u) = V₂ GELU(V₁u + v₁) + v₂ with a hidden layer of four times the width. A single modality
    has no pair and only attends to itself.

    The position of a token is the number of tokens before it that exist, p: feature k is
    sin(p·10⁻⁴ᵏᐟᶠ) for k < f = ⌈dim / 2⌉, and the cosines follow.

    Deviations from the paper: a linear map in place of the temporal convolution, the mean of the
    tokens in place of the last one, normalised once more before the concatenation; attention maps
    have no bias, and there is no dropout.

    Absence: to an absent b no one can attend: the attention of a ← b adds exactly nothing, and
    the tokens of a go through the pair as they are. An absent a contributes zeros to the
    concatenation. All absent: zeros. A modality without any token is absent.

    Cost: for M modalities, L layers and w = max(M − 1, 1)·dim, Σ d_m·dim + M·dim +
    M(M − 1)·L(12·dim² + 9·dim) + M·L(12·w² + 9·w) + M·(2 + dim)·w + dim weights, if the widths
    are multiples of the heads. Forward 2·Σ t_m·d_m·dim + L·Σ_{a≠b} ((20·t_a + 4·t_b)·dim² +
    4·t_a·t_b·dim) + L·Σ (24·t_a·w² + 4·t_a²·w) FLOPs per sample; temporaries of heads·t_a·t_b
    attention weights and 4·t_a·w hidden units per sample.

    Choose it for two or three unaligned series, as words, sound and video. The number of its
    blocks grows with M² and their width with M; `bottleneck` grows with M.

    Args:
      xs: One array of tokens per modality, shapes [*batch, t_m, d_m], in the order of time; the
        batch axes broadcast.
      weights: Weights as made by `init_mult`.
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
      >>> weights = init_mult(jax.random.key(0), (3, 5), 8)
      >>> xs = [jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]
      >>> print(mult(xs, weights).shape)
      (2, 8)

    References:
      Tsai et al., `Multimodal Transformer for Unaligned Multimodal Language Sequences
      <https://arxiv.org/abs/1906.00295>`_, 2019.
    """
    xs, masks = clean_tokens("mult", xs, present, where)
    projected = project("mult", xs, weights.kernels, weights.biases)
    tokens = [h + positions(mask, h) for h, mask in zip(projected, masks, strict=True)]
    pooled = []
    for a, readers in enumerate(weights.readers):
        others = [b for b in range(len(xs)) if b != a]
        read = [
            _read(tokens[a], pair, tokens[b], masks[b])
            for b, pair in zip(others, readers, strict=True)
        ]
        joint = jnp.concatenate(read, axis=-1) if read else tokens[a]
        for layer in weights.blocks[a]:
            joint = transformer_block(joint, layer, masks[a])
        pooled.append(pool(joint, masks[a], weights.norms[a]))
    dim = weights.out_bias.shape[0]
    z = linear(jnp.concatenate(pooled, axis=-1), weights.out_kernel.reshape(-1, dim))
    z = (z + weights.out_bias.astype(z.dtype)).astype(xs[0].dtype)
    some = jnp.any(jnp.concatenate(masks, axis=-1), axis=-1)
    return numerics.zero_absent(z, some)


def _read(
    tokens: Float[Array, "*batch t dim"],
    layers: Sequence[TransformerBlockWeights],
    context: Float[Array, "*batch s dim"],
    where: Bool[Array, "*batch s"],
) -> Float[Array, "*batch t dim"]:
    for layer in layers:
        tokens = transformer_block(tokens, layer, where, context=context)
    return tokens
