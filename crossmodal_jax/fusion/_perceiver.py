"""A fixed number of latents that read any number of tokens."""

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


class PerceiverWeights(NamedTuple):
    """Weights of `perceiver`.

    Attributes:
      kernels: Linear map of the tokens of each modality, shapes [d_m, dim].
      biases: Embedding of each modality, added to its tokens, shape [m, dim].
      latents: The latents before they have read anything, shape [latents, dim].
      readers: One block of cross-attention per layer, from the latents to the tokens.
      blocks: One block of self-attention per layer, among the latents.
      norm: Layer norm of the pooled latents.
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    biases: Float[Array, "m dim"]
    latents: Float[Array, "latents dim"]
    readers: tuple[TransformerBlockWeights, ...]
    blocks: tuple[TransformerBlockWeights, ...]
    norm: NormWeights


def init_perceiver(
    key: Array,
    dims: Sequence[int],
    dim: int,
    *,
    num_heads: int = 4,
    num_layers: int = 1,
    num_latents: int = 8,
) -> PerceiverWeights:
    """Initial weights of `perceiver`.

    Kernels have variance 1 / fan-in, biases are zero and latents have a standard deviation of
    0.02, as in the paper, so that what they read outweighs them. The final layer norm gives the
    result a mean square of 1.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the tokens of the modalities.
      dim: Width of the latents and of the result, at least 2.
      num_heads: Heads of each attention, of ⌈dim / num_heads⌉ features.
      num_layers: How many times the latents read the tokens and then each other.
      num_latents: Number of latents.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim], biases [m, dim], latents
      [num_latents, dim], `num_layers` blocks of either kind with a hidden layer of 4·dim units,
      and the final norm.

    Raises:
      ValueError: If there is no modality, a width or a number is not positive, or `dim` is 1.

    Examples:
      >>> import jax
      >>> weights = init_perceiver(jax.random.key(0), (3, 5), 8, num_latents=6)
      >>> print(weights.latents.shape, len(weights.readers), len(weights.blocks))
      (6, 8) 1 1
    """
    counts = {"num_heads": num_heads, "num_layers": num_layers, "num_latents": num_latents}
    check_options("perceiver", dims, dim, **counts)
    projection_key, latents_key, readers_key, blocks_key = jax.random.split(key, 4)
    kernels, biases = init_projection(projection_key, dims, dim)
    return PerceiverWeights(
        kernels=kernels,
        biases=biases,
        latents=TOKEN_SCALE * jax.random.normal(latents_key, (num_latents, dim), jnp.float32),
        readers=init_blocks(readers_key, num_layers, dim, num_heads),
        blocks=init_blocks(blocks_key, num_layers, dim, num_heads),
        norm=init_norm(dim),
    )


def perceiver(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: PerceiverWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch dim"]:
    """Latents that read the tokens of all modalities; the mean of the latents is the result.

    With the tokens c = [x₁W₁ + b₁; …; x_MW_M + b_M], where bᵢ is the embedding of modality i, and
    learned latents h, every layer is two pre-norm blocks, each h ← h + A, then h ← h + F(LN h):
    in the first the latents attend to the tokens that exist, A(LN h, LN c), in the second to each
    other, A(LN h). A is multi-head attention and F(u) = V₂ GELU(V₁u + v₁) + v₂ with 4·dim hidden
    units. z is the layer norm of the mean of the latents. The order of the tokens does not
    matter; where it should, add positions to them first.

    Deviations from the papers: layers share no weights, latents and tokens share the norm of the
    block in which they meet, attention maps have no bias, there is no dropout, and the Q-Former
    reads before it exchanges instead of after.

    Absence: an absent modality gives no key, and the result is that of the others alone; all
    absent: zeros. A modality without any token is absent.

    Cost: Σ d_m·dim + 2L(12·dim² + 9·dim) + (M + n + 2)·dim weights for L layers and n latents, if
    `dim` is a multiple of the heads. Forward 2·Σ t_m·d_m·dim + L(44·n + 4·t)·dim² +
    4L·n·(t + n)·dim FLOPs per sample, where t = Σ t_m; temporaries of heads·n·t attention weights
    and 2·t·dim keys and values per sample.

    Choose it when sequences are long or their lengths vary: its cost grows with the length but
    not with its square, and the latents may be few. What the latents drop is gone;
    `early_transformer` drops nothing.

    Args:
      xs: One array of tokens per modality, shapes [*batch, t_m, d_m]; the batch axes broadcast.
      weights: Weights as made by `init_perceiver`.
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
      >>> weights = init_perceiver(jax.random.key(0), (3, 5), 8)
      >>> xs = [jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]
      >>> print(perceiver(xs, weights).shape)
      (2, 8)

    References:
      Jaegle et al., `Perceiver <https://arxiv.org/abs/2103.03206>`_, 2021; Li et al., `BLIP-2
      <https://arxiv.org/abs/2301.12597>`_, 2023 (the Q-Former).
    """
    latents, some = _read("perceiver", xs, weights, present, where)
    return pool(latents, jnp.broadcast_to(some[..., None], latents.shape[:-1]), weights.norm)


def perceiver_latents(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: PerceiverWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch latents dim"]:
    """The latents whose mean `perceiver` normalises: any input as a sequence of fixed length.

    Args:
      xs: One array of tokens per modality, shapes [*batch, t_m, d_m]; the batch axes broadcast.
      weights: Weights of `perceiver`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      where: One mask per modality, True where a token exists, shapes that broadcast to
        [*batch, t_m]; None for a modality, or for all, whose tokens all exist.

    Returns:
      The latents after the last layer, shape [*batch, latents, dim], in the dtype of the inputs;
      zeros where nothing is present.

    Raises:
      ValueError: If the shapes of the modalities, `weights`, `present` or `where` disagree.
      TypeError: If a modality is not floating point or a mask is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_perceiver(jax.random.key(0), (3, 5), 8, num_latents=6)
      >>> xs = [jnp.ones((2, 4, 3)), jnp.ones((2, 9, 5))]
      >>> print(perceiver_latents(xs, weights).shape)
      (2, 6, 8)
    """
    latents, some = _read("perceiver_latents", xs, weights, present, where)
    return numerics.zero_absent(latents, some)


def _read(
    name: str,
    xs: Sequence[ArrayLike],
    weights: PerceiverWeights,
    present: ArrayLike | None,
    where: Sequence[ArrayLike | None] | None,
) -> tuple[Float[Array, "*batch latents dim"], Bool[Array, "*batch"]]:
    """Returns the latents after the last layer, and where there was anything to read."""
    xs, masks = clean_tokens(name, xs, present, where)
    tokens, mask = join(project("perceiver", xs, weights.kernels, weights.biases), masks)
    latents = weights.latents.astype(tokens.dtype)
    latents = jnp.broadcast_to(latents, (*tokens.shape[:-2], *latents.shape))
    for reader, layer in zip(weights.readers, weights.blocks, strict=True):
        latents = transformer_block(latents, reader, mask, context=tokens)
        latents = transformer_block(latents, layer)
    return latents, jnp.any(mask, axis=-1)
