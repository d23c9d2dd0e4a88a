"""Factorised bilinear and high-order pooling: products of projections, summed in groups."""

import itertools
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


class MfbWeights(NamedTuple):
    """Weights of `mfb`.

    Attributes:
      kernels: Linear map of each modality to the k products of every unit, shapes [d_m, dim, k].
    """

    kernels: tuple[Float[Array, "d_m dim k"], ...]


class MfhWeights(NamedTuple):
    """Weights of `mfh`.

    Attributes:
      blocks: Weights of each block, kernels of shapes [d_m, dim_l, k] with Σ dim_l = dim; the
        widths dim_l do not increase.
    """

    blocks: tuple[MfbWeights, ...]


def init_mfb(key: Array, dims: Sequence[int], dim: int, *, pool_size: int = 5) -> MfbWeights:
    """Initial weights of `mfb`: random linear maps.

    For inputs of variance 1 each factor has variance k^(−1/M), so that a product of all M has
    variance 1/k and the sum of k of them 1. The norms that follow by default make the result
    independent of this choice; without them it is the variance of the result.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      pool_size: Number k of products that are summed for a unit; 5 in the paper.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim, k].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_mfb(jax.random.key(0), (3, 5), 4)
      >>> print([kernel.shape for kernel in weights.kernels])
      [(3, 4, 5), (5, 4, 5)]
    """
    check_dims("mfb", dims, dim)
    check_positive("init_mfb", pool_size=pool_size)
    return _init_products(key, dims, dim, pool_size, 1 / pool_size)


def mfb(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: MfbWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    normalize: bool = True,
) -> Float[Array, "*batch dim"]:
    """Multimodal factorised bilinear pooling (MFB) for any number of modalities.

    eₒⱼ = ∏ᵢ (Uᵢxᵢ)ₒⱼ for unit o and j = 1 … k, then the sum eₒ = Σⱼ eₒⱼ, the power norm
    sgn(e)·√|e| and the ℓ2 norm z = y/‖y‖. The paper has M = 2, and dropout before the sum, which
    is left out here.

    The result has length 1 as in the paper, hence a mean square of 1/dim; a layer that expects
    numbers of variance 1 wants √dim times it. Both norms have the gradient 0 at 0.

    Absence: An absent modality is a factor of ones, so that the products are those of the others.
    Zeros where nothing is present.

    Cost: k · dim · Σ dᵢ weights, twice as many FLOPs for a sample, and temporaries of
    M · k · dim numbers for a sample.

    Choose it for a bilinear map of rank k in every unit without a layer after it, and where a
    result of unit length is wanted, as before a cosine. `mlb` has no norms; `mfh` adds products
    of higher order.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Uᵢ of shapes [d_m, dim, k], as made by `init_mfb`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      normalize: Whether the power norm and the ℓ2 norm follow the sum.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. Everything but the operands of the products is float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> weights = MfbWeights((jnp.ones((1, 2, 1)), jnp.array([[[9.0], [-16.0]]])))
      >>> xs = [jnp.array([1.0]), jnp.array([1.0])]
      >>> print(mfb(xs, weights))
      [ 0.6 -0.8]
      >>> print(mfb(xs, weights, normalize=False))
      [  9. -16.]

    References:
      Yu et al., `Multi-modal Factorized Bilinear Pooling with Co-Attention Learning for Visual
      Question Answering <https://arxiv.org/abs/1708.01471>`_, 2017.
    """
    xs, mask = clean_inputs("mfb", xs, present)
    check_kernels("mfb", xs, weights.kernels)
    return _squeeze(_expand(xs, weights, mask), normalize=normalize).astype(xs[0].dtype)


def init_mfh(
    key: Array, dims: Sequence[int], dim: int, *, order: int = 2, pool_size: int = 5
) -> MfhWeights:
    """Initial weights of `mfh`: random linear maps.

    The first block starts as `init_mfb` does. The factors of later blocks have variance 1, so
    that their products have the variance of those before. The norms that follow by default make
    the result independent of this choice.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result. Each block has dim / order units; if that leaves a remainder, the
        first blocks have one unit more.
      order: Number of blocks, and of factors of each modality in the last; 2 in the paper. At
        most `dim` blocks are made.
      pool_size: Number k of products that are summed for a unit; 5 in the paper.

    Returns:
      Weights in float32: for every block kernels of shapes [d_m, dim_l, k].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_mfh(jax.random.key(0), (3, 5), 4)
      >>> print([[kernel.shape for kernel in block.kernels] for block in weights.blocks])
      [[(3, 2, 5), (5, 2, 5)], [(3, 2, 5), (5, 2, 5)]]
    """
    check_dims("mfh", dims, dim)
    check_positive("init_mfh", order=order, pool_size=pool_size)
    order = min(order, dim)
    keys = jax.random.split(key, order)
    blocks = (
        _init_products(
            keys[block],
            dims,
            dim // order + (block < dim % order),
            pool_size,
            1 / pool_size if block == 0 else 1.0,
        )
        for block in range(order)
    )
    return MfhWeights(tuple(blocks))


def mfh(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: MfhWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    normalize: bool = True,
) -> Float[Array, "*batch dim"]:
    """Multimodal factorised high-order pooling (MFH): a cascade of `mfb` blocks.

    e⁽¹⁾ = ∏ᵢ U⁽¹⁾ᵢxᵢ and e⁽ˡ⁾ = e⁽ˡ⁻¹⁾ ⊙ ∏ᵢ U⁽ˡ⁾ᵢxᵢ, element by element for all units and their k
    products; z = [pool e⁽¹⁾; …; pool e⁽ᵖ⁾], where pool sums k products and applies the power norm
    and the ℓ2 norm of `mfb` to each block by itself. With p = 1 it is `mfb`. A block that is one
    unit narrower than the one before takes its first units. The paper has M = 2, and dropout
    before the sums, which is left out here.

    Each block has length 1 as in the paper, hence the result a mean square of p/dim.

    Absence: An absent modality is a factor of ones in every block. Zeros where nothing is present.

    Cost: k · dim · Σ dᵢ weights, twice as many FLOPs for a sample, and temporaries of
    M · k · dim numbers for a sample; the cascade costs no more than `mfb`.

    Choose it instead of `mfb` where products of order p in each modality are wanted beside those
    of order one.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: For every block kernels U⁽ˡ⁾ᵢ of shapes [d_m, dim_l, k], as made by `init_mfh`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      normalize: Whether the power norm and the ℓ2 norm follow the sums.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. Everything but the operands of the products is float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> block = MfbWeights((jnp.full((1, 1, 1), 2.0), jnp.full((1, 1, 1), 3.0)))
      >>> xs = [jnp.array([1.0]), jnp.array([1.0])]
      >>> print(mfh(xs, MfhWeights((block, block)), normalize=False))
      [ 6. 36.]

    References:
      Yu et al., `Beyond Bilinear: Generalized Multi-modal Factorized High-order Pooling for
      Visual Question Answering <https://arxiv.org/abs/1708.03619>`_, 2018.
    """
    xs, mask = clean_inputs("mfh", xs, present)
    for block in weights.blocks:
        check_kernels("mfh", xs, block.kernels)
    expanded = [_expand(xs, block, mask) for block in weights.blocks]
    cascade = itertools.accumulate(expanded, lambda e, f: e[..., : f.shape[-2], :] * f)
    pooled = [_squeeze(e, normalize=normalize) for e in cascade]
    return jnp.concatenate(pooled, axis=-1).astype(xs[0].dtype)


def _init_products(
    key: Array, dims: Sequence[int], dim: int, pool_size: int, variance: float
) -> MfbWeights:
    """Returns weights whose products have this variance for inputs of variance 1."""
    keys = jax.random.split(key, len(dims))
    share = variance ** (1 / len(dims))
    return MfbWeights(
        tuple(random_kernel(keys[m], (d, dim, pool_size), share / d) for m, d in enumerate(dims))
    )


def _expand(
    xs: Sequence[Array], weights: MfbWeights, mask: Bool[Array, "*batch m"]
) -> Float[Array, "*batch dim k"]:
    """Returns the products of all units; the k of one unit are neighbours."""
    factors = [
        linear(x, kernel.reshape(x.shape[-1], -1)).reshape(*x.shape[:-1], *kernel.shape[1:])
        for x, kernel in zip(xs, weights.kernels, strict=True)
    ]
    return product_over_present(factors, mask)


def _squeeze(products: Float[Array, "*batch dim k"], *, normalize: bool) -> Array:
    """Returns the pooled products [*batch, dim]."""
    pooled = jnp.sum(products, axis=-1)
    return numerics.normalize(numerics.signed_sqrt(pooled)) if normalize else pooled
