"""Block superdiagonal fusion: projections meet in chunks, each a small MUTAN."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._factors import product_over_present, random_kernel
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_kernels,
    check_positive,
    clean_inputs,
    linear,
)
from crossmodal_jax.fusion._stream import stream


class BlockWeights(NamedTuple):
    """Weights of `block`.

    Attributes:
      kernels: Linear map of each modality into the chunks, shapes [d_m, chunks, size].
      factors: Maps of each modality into the products of a chunk, one for each rank, shapes
        [chunks, size, rank, units].
      out_kernel: From all chunks to the result, shape [chunks · units, dim].
    """

    kernels: tuple[Float[Array, "d_m chunks size"], ...]
    factors: tuple[Float[Array, "chunks size rank units"], ...]
    out_kernel: Float[Array, "hidden dim"]


def init_block(
    key: Array,
    dims: Sequence[int],
    dim: int,
    *,
    num_chunks: int = 16,
    chunk_dim: int = 16,
    rank: int = 8,
    normalize: bool = True,
) -> BlockWeights:
    """Initial weights of `block`: random linear maps.

    For inputs of variance 1 all projections and factors have variance 1. The concatenation that W_o
    meets has the squared length C, for each of the C chunks has length 1; without the norms it is
    C s R on average, for chunks of s units and R ranks. The entries of W_o have one over that as
    their variance, so that the output has variance 1, under any absence.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      num_chunks: Number C of chunks; 20 in the paper.
      chunk_dim: Width s of a chunk, before and after the products; 80 in the paper.
      rank: Number R of products in the sum of a chunk; 15 in the paper.
      normalize: As it will be for `block`.

    Returns:
      Weights in float32: kernels of shapes [d_m, chunks, size], factors
      [chunks, size, rank, size] and output kernel [chunks · size, dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_block(jax.random.key(0), (3, 5), 4, num_chunks=2, chunk_dim=6, rank=3)
      >>> print([factors.shape for factors in weights.factors], weights.out_kernel.shape)
      [(2, 6, 3, 6), (2, 6, 3, 6)] (12, 4)
    """
    check_dims("block", dims, dim)
    check_positive("init_block", num_chunks=num_chunks, chunk_dim=chunk_dim, rank=rank)
    out_key, *keys = jax.random.split(key, 2 * len(dims) + 1)
    square = num_chunks if normalize else num_chunks * chunk_dim * rank
    return BlockWeights(
        kernels=tuple(
            random_kernel(keys[2 * m], (d, num_chunks, chunk_dim), 1 / d)
            for m, d in enumerate(dims)
        ),
        factors=tuple(
            random_kernel(keys[2 * m + 1], (num_chunks, chunk_dim, rank, chunk_dim), 1 / chunk_dim)
            for m in range(len(dims))
        ),
        out_kernel=random_kernel(out_key, (num_chunks * chunk_dim, dim), 1 / square),
    )


def block(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: BlockWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    normalize: bool = True,
) -> Float[Array, "*batch dim"]:
    """Block superdiagonal fusion (BLOCK) for any number of modalities.

    Wᵢxᵢ is cut into C chunks x̃ᵢ꜀ ∈ R^s. Each chunk is fused with rank R,
    e꜀ = Σᵣ ∏ᵢ Fᵢ꜀ᵣ x̃ᵢ꜀ ∈ R^u, and normed, z꜀ = y/‖y‖ with y = sgn(e꜀)·√|e꜀|; z = W_o [z₁; …; z_C].
    This is a Tucker decomposition with a block superdiagonal core whose blocks have rank R.
    Without the norms one chunk is `mutan`, and chunks of one unit and rank 1 are `mlb` without its
    tanh. The paper has M = 2; here all chunks have one width. No bias, activation or dropout.

    Absence: The factors Fᵢ꜀ᵣx̃ᵢ꜀ of an absent modality are ones, so that the products are those of
    the others. Zeros where nothing is present.

    Cost: C (s Σ dᵢ + M s R u + u · dim) weights and twice as many FLOPs for a sample, with the
    projections, M C s numbers for a sample, as temporaries. The M C R u numbers between W and W_o
    are made for a chunk of rows at a time, and anew for the gradient: some 16 MiB in all.

    Choose it for wide projections at moderate cost: with C chunks the products take 1/C of the
    weights that `mutan` of the same widths takes, and the norms keep any of them from dominating.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Wᵢ of shapes [d_m, chunks, size], factors Fᵢ [chunks, size, rank, units] and
        output kernel W_o [chunks · units, dim], as made by `init_block`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      normalize: Whether the power norm and the ℓ2 norm are applied to every chunk.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. What lies between Wᵢ and W_o is
      float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> one = jnp.ones((1, 1, 1))
      >>> weights = BlockWeights((one, one), (one[None], one[None]), jnp.eye(1))
      >>> xs = [jnp.array([2.0]), jnp.array([3.0])]
      >>> print(block(xs, weights), block(xs, weights, normalize=False))
      [1.] [6.]

    References:
      Ben-younes et al., `BLOCK: Bilinear Superdiagonal Fusion for Visual Question Answering and
      Visual Relationship Detection <https://arxiv.org/abs/1902.00038>`_, 2019.
    """
    xs, mask = clean_inputs("block", xs, present)
    check_kernels("block", xs, weights.kernels)
    projected = [
        linear(x, kernel.reshape(x.shape[-1], -1))
        for x, kernel in zip(xs, weights.kernels, strict=True)
    ]
    # Factors, the same with ones for what is absent, their products, and the slopes of all these.
    size = 4 * sum(factors.size // factors.shape[1] for factors in weights.factors)
    fuse = functools.partial(_fuse_chunks, normalize=normalize)
    hidden = stream(fuse, weights.factors, projected, mask, size).astype(xs[0].dtype)
    return linear(hidden, weights.out_kernel).astype(xs[0].dtype)


def _fuse_chunks(
    factors: Sequence[Float[Array, "chunks size rank units"]],
    projected: Sequence[Float[Array, "*batch hidden"]],
    mask: Bool[Array, "*batch m"],
    *,
    normalize: bool,
) -> Float[Array, "*batch hidden"]:
    """Returns the fused chunks side by side."""
    mapped = list(map(_map_chunks, projected, factors))
    mask_of_chunks = jnp.broadcast_to(mask, (mapped[0].shape[0], *mask.shape))
    chunks = jnp.sum(product_over_present(mapped, mask_of_chunks), axis=-2)
    if normalize:
        chunks = numerics.normalize(numerics.signed_sqrt(chunks))
    return jnp.moveaxis(chunks, 0, -2).reshape(*mask.shape[:-1], -1)


def _map_chunks(
    projected: Float[Array, "*batch hidden"], factors: Float[Array, "chunks size rank units"]
) -> Float[Array, "chunks *batch rank units"]:
    """Returns the factors F꜀ᵣx̃꜀ of one modality by a product that is batched over the chunks.

    The chunks come first, as such a product has them: with the samples first, both sides of it
    would be transposed in memory.
    """
    chunks = projected.reshape(*projected.shape[:-1], *factors.shape[:2])
    # Not in the dtype of the inputs: XLA has no batched bfloat16 product into float32 on CPU.
    maps = factors.reshape(*factors.shape[:2], -1).astype(projected.dtype)
    mapped = jnp.einsum("c...s,csq->c...q", jnp.moveaxis(chunks, -2, 0), maps)
    return mapped.reshape(*mapped.shape[:-1], *factors.shape[2:])
