"""Low-rank multimodal fusion: tensor fusion whose kernel is a sum of few outer products."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_kernels,
    check_positive,
    clean_inputs,
    linear,
)


class LowRankWeights(NamedTuple):
    """Weights of `low_rank`.

    Attributes:
      kernels: What each factor takes of the entries of a modality, shapes [d_m, rank, dim].
      offsets: What each factor takes of the one, shape [m, rank, dim].
      mixture: Weight of each rank, shape [rank].
      bias: Bias of the result, shape [dim].
    """

    kernels: tuple[Float[Array, "d_m rank dim"], ...]
    offsets: Float[Array, "m rank dim"]
    mixture: Float[Array, "rank"]
    bias: Float[Array, "dim"]


def init_low_rank(key: Array, dims: Sequence[int], dim: int, *, rank: int = 4) -> LowRankWeights:
    """Initial weights of `low_rank`: factors of mean square 1, an equal share for each rank.

    A factor is ±√(M / (M + 2)) plus a random linear map of variance 2 / (M + 2), so that for
    independent inputs of variance 1 all factors, their products and the output have mean
    square 1. An absent modality takes the map away but leaves the sign: it lowers the mean
    square of the output by M / (M + 2), and all of them together by no more than e².

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      rank: Number of outer products in the kernel, for each output.

    Returns:
      Weights in float32: kernels of shapes [d_m, rank, dim], offsets [m, rank, dim], mixture
      [rank] and bias [dim].

    Raises:
      ValueError: If there is no modality or a width or `rank` is not positive.

    Examples:
      >>> import jax
      >>> weights = init_low_rank(jax.random.key(0), (3, 5), 4, rank=2)
      >>> print([kernel.shape for kernel in weights.kernels], weights.offsets.shape)
      [(3, 2, 4), (5, 2, 4)] (2, 2, 4)
    """
    check_dims("low_rank", dims, dim)
    check_positive("init_low_rank", rank=rank)
    num = len(dims)
    *keys, sign_key = jax.random.split(key, num + 1)
    kernels = tuple(
        jax.random.normal(keys[m], (d, rank, dim), jnp.float32) * (2 / (num + 2) / d) ** 0.5
        for m, d in enumerate(dims)
    )
    # Random signs: offsets of one sign would add up over the ranks to a large constant.
    signs = jax.random.rademacher(sign_key, (num, rank, dim), jnp.float32)
    return LowRankWeights(
        kernels=kernels,
        offsets=signs * (num / (num + 2)) ** 0.5,
        mixture=jnp.full(rank, rank**-0.5, jnp.float32),
        bias=jnp.zeros(dim, jnp.float32),
    )


def low_rank(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: LowRankWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Low-rank multimodal fusion (LMF): a weighted sum of products of one factor per modality.

    z = Σᵣ wᵣ · ⊙ᵢ (Wᵢ⁽ʳ⁾ᵀ xᵢ + oᵢ⁽ʳ⁾) + b. With the offsets as first rows of the Wᵢ⁽ʳ⁾ this is
    `tensor_fusion` with the kernel Σᵣ wᵣ ⊗ᵢ [oᵢ⁽ʳ⁾; Wᵢ⁽ʳ⁾], output by output, for any modalities
    present; but neither that kernel nor an outer product is ever made.

    Absence: an absent modality is [1; 0; …; 0], and its factor the offset oᵢ⁽ʳ⁾. Where nothing is
    present, the result is Σᵣ wᵣ · ⊙ᵢ oᵢ⁽ʳ⁾ + b.

    Cost: R · dim · Σ (dᵢ + 1) + R + dim weights and about 2 · R · dim · Σ (dᵢ + 1) FLOPs per
    sample, with R · dim numbers per sample and modality as temporaries. All ranks of a modality
    are one product.

    Choose it for products across all modalities at a cost that only adds up over them; rank 4
    is often enough. With many modalities the result is a polynomial of high degree: keep the
    inputs near variance 1, or take `polynomial`, whose degree you choose.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Wᵢ [d_m, rank, dim], offsets o [m, rank, dim], mixture w [rank] and bias
        b [dim], as made by `init_low_rank`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs. Sums and
      products of factors are in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> # (x₁ + 1)(2 x₂ + 3), of rank one.
      >>> kernels = (jnp.ones((1, 1, 1)), jnp.full((1, 1, 1), 2.0))
      >>> offsets = jnp.array([1.0, 3.0]).reshape(2, 1, 1)
      >>> weights = LowRankWeights(kernels, offsets, jnp.ones(1), jnp.zeros(1))
      >>> xs = [jnp.array([4.0]), jnp.array([5.0])]
      >>> print(low_rank(xs, weights))
      [65.]
      >>> print(low_rank(xs, weights, present=jnp.array([True, False])))
      [15.]

    References:
      Liu et al., `Efficient Low-rank Multimodal Fusion with Modality-Specific Factors
      <https://arxiv.org/abs/1806.00064>`_, 2018.
    """
    xs, _ = clean_inputs("low_rank", xs, present)
    check_kernels("low_rank", xs, weights.kernels)
    factors = []
    for x, kernel, offset in zip(xs, weights.kernels, weights.offsets, strict=True):
        mapped = linear(x, kernel.reshape(kernel.shape[0], -1))
        factors.append(mapped + offset.reshape(-1).astype(mapped.dtype))
    product = functools.reduce(jnp.multiply, factors)
    product = product.reshape(*product.shape[:-1], *weights.offsets.shape[1:])
    z = jnp.sum(weights.mixture.astype(product.dtype)[:, None] * product, axis=-2)
    return (z + weights.bias.astype(z.dtype)).astype(xs[0].dtype)
