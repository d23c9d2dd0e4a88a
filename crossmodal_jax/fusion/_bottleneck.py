"""Modalities that exchange what fits through a few shared tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._tokens import (
    TOKEN_SCALE,
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


class BottleneckWeights(NamedTuple):
    """Weights of `bottleneck`.

    Attributes:
      kernels: Linear map of the tokens of each modality, shapes [d_m, dim].
      biases: Bias of each of those maps, shape [m, dim].
      bottlenecks: The shared tokens before the first layer, shape [bottlenecks, dim].
      blocks: For each modality, one transformer block per layer.
      norm: Layer norm of the pooled tokens.
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    biases: Float[Array, "m dim"]
    bottlenecks: Float[Array, "bottlenecks dim"]
    blocks: tuple[tuple[TransformerBlockWeights, ...], ...]
    norm: NormWeights


def init_bottleneck(
    key: Array,
    dims: Sequence[int],
    dim: int,
    *,
    num_heads: int = 4,
    num_layers: int = 2,
    num_bottlenecks: int = 4,
) -> BottleneckWeights:
    """Initial weights of `bottleneck`.

    Kernels have variance 1 / fan-in, biases are zero and bottleneck tokens have a standard
    deviation of 0.02, as in the paper. The final layer norm gives the result a mean square of 1.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the tokens of the modalities.
      dim: Width of the blocks and of the result, at least 2.
      num_heads: Heads of each attention, of ⌈dim / num_heads⌉ features.
      num_layers: Number of blocks of each modality; with a single one they exchange nothing.
      num_bottlenecks: Number of shared tokens; 4 in the paper.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim], biases [m, dim], bottlenecks
      [num_bottlenecks, dim], `num_layers` blocks per modality with a hidden layer of 4·dim units,
      and the final norm.

    Raises:
      ValueError: If there is no modality, a width or a number is not positive, or `dim` is 1.

    Examples:
      >>> import jax
      >>> weights = init_bottleneck(jax.random.key(0), (3, 5), 8)
      >>> print(weights.bottlenecks.shape, [len(layers) for layers in weights.blocks])
      (4, 8) [2, 2]
    """
    counts = {"num_heads": num_heads, "num_layers": num_layers, "num_bottlenecks": num_bottlenecks}
    check_options("bottleneck", dims, dim, **counts)
    projection_key, shared_key, *keys = jax.random.split(key, 2 + len(dims))
    kernels, biases = init_projection(projection_key, dims, dim)
    return BottleneckWeights(
        kernels=kernels,
        biases=biases,
        bottlenecks=TOKEN_SCALE
        * jax.random.normal(shared_key, (num_bottlenecks, dim), jnp.float32),
        blocks=tuple(init_blocks(k, num_layers, dim, num_heads) for k in keys),
        norm=init_norm(dim),
    )


def bottleneck(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: BottleneckWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch dim"]:
    """Multimodal bottleneck transformer (MBT): modalities meet in a few shared tokens only.

    With hᵢ = xᵢWᵢ + bᵢ and learned bottleneck tokens s, every layer does
    [hᵢ; sᵢ] ← Blockᵢ([hᵢ; s]) for each modality i and then s ← mean of sᵢ over the modalities
    that are present. Blockᵢ is a pre-norm block of self-attention among the tokens that exist,
    h ← h + A(LN h), then h ← h + F(LN h) with F(u) = V₂ GELU(V₁u + v₁) + v₂ and 4·dim hidden
    units. z is the layer norm of the mean, over the modalities that are present, of the mean of
    their tokens hᵢ that exist. The order of the tokens does not matter; where it should, add
    positions to them first.

    Deviations from the paper: all layers share bottlenecks, as the layers before fusion are what
    makes the tokens; means of tokens take the place of class tokens, and their average that of
    the average of class scores; attention maps have no bias and there is no dropout.

    Absence: an absent modality gives no token and has no part in the mean of the bottlenecks,
    and the result is that of the others alone; all absent: zeros. A modality without any token is
    absent.

    Cost: Σ d_m·dim + M·L(12·dim² + 9·dim) + (M + n + 2)·dim weights for L layers and n
    bottlenecks, if `dim` is a multiple of the heads. Forward 2·Σ t_m·d_m·dim +
    L·Σ (24·u_m·dim² + 4·u_m²·dim) FLOPs per sample, where u_m = t_m + n; temporaries of
    heads·u_m² attention weights and 4·u_m·dim hidden units per sample.

    Choose it when each modality has long sequences of its own and needs a summary of the others:
    its cost grows with Σ t_m² instead of (Σ t_m)². Absence of a modality removes its whole stream
    and leaves the others as they are.

    Args:
      xs: One array of tokens per modality, shapes [*batch, t_m, d_m]; the batch axes broadcast.
      weights: Weights as made by `init_bottleneck`.
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
      >>> weights = init_bottleneck(jax.random.key(0), (3, 5), 8)
      >>> xs = [jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]
      >>> print(bottleneck(xs, weights).shape)
      (2, 8)

    References:
      Nagrani et al., `Attention Bottlenecks for Multimodal Fusion
      <https://arxiv.org/abs/2107.00135>`_, 2021.
    """
    xs, masks = clean_tokens("bottleneck", xs, present, where)
    tokens = project("bottleneck", xs, weights.kernels, weights.biases)
    some = jnp.stack([jnp.any(mask, axis=-1) for mask in masks], axis=-1)
    shared = weights.bottlenecks.astype(xs[0].dtype)
    shared = jnp.broadcast_to(shared, (*some.shape[:-1], *shared.shape))
    everyone = jnp.ones(shared.shape[:-1], bool)
    for layer in zip(*weights.blocks, strict=True):
        copies = []
        for m, own in enumerate(layer):
            sequence, mask = join([tokens[m], shared], [masks[m], everyone])
            sequence = transformer_block(sequence, own, mask)
            tokens[m], copy = jnp.split(sequence, [masks[m].shape[-1]], axis=-2)
            copies.append(copy)
        shared = numerics.masked_mean(jnp.stack(copies, axis=-3), some[..., None, None], axis=-3)
    means = [
        numerics.masked_mean(h, mask[..., None], axis=-2)
        for h, mask in zip(tokens, masks, strict=True)
    ]
    return pool(jnp.stack(means, axis=-2), some, weights.norm)
