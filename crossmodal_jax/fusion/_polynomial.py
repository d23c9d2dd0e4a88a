"""Polynomial fusion: products of a chosen number of entries, of whatever modalities."""

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


class PolynomialWeights(NamedTuple):
    """Weights of `polynomial`.

    Attributes:
      kernels: What each factor takes of a modality, shapes [d_m, order, rank].
      offsets: What each factor takes of the one, shape [order, rank].
      out_kernel: Linear map of the products, shape [rank, dim].
      bias: Bias of the result, shape [dim].
    """

    kernels: tuple[Float[Array, "d_m order rank"], ...]
    offsets: Float[Array, "order rank"]
    out_kernel: Float[Array, "rank dim"]
    bias: Float[Array, "dim"]


def init_polynomial(
    key: Array, dims: Sequence[int], dim: int, *, order: int = 2, rank: int | None = None
) -> PolynomialWeights:
    """Initial weights of `polynomial`: factors of mean square 1 that heed all modalities alike.

    A factor is ±√(P / (P + 2)) plus linear maps of variance 2 / (P + 2) in all, the same share
    from each modality, so that for independent inputs of variance 1 all factors, their products
    and the output have mean square 1. Absent modalities leave at least 1 / e² of it.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      order: Degree P of the polynomial, 1 for a linear map.
      rank: Number of products; None for `dim` of them.

    Returns:
      Weights in float32: kernels of shapes [d_m, order, rank], offsets [order, rank], output
      kernel [rank, dim] and bias [dim].

    Raises:
      ValueError: If there is no modality or a width, `order` or `rank` is not positive.

    Examples:
      >>> import jax
      >>> weights = init_polynomial(jax.random.key(0), (3, 5), 4, order=3, rank=8)
      >>> print([kernel.shape for kernel in weights.kernels], weights.out_kernel.shape)
      [(3, 3, 8), (5, 3, 8)] (8, 4)
    """
    check_dims("polynomial", dims, dim)
    rank = dim if rank is None else rank
    check_positive("init_polynomial", order=order, rank=rank)
    *keys, sign_key, out_key = jax.random.split(key, len(dims) + 2)
    share = 2 / (order + 2) / len(dims)
    kernels = tuple(
        jax.random.normal(keys[m], (d, order, rank), jnp.float32) * (share / d) ** 0.5
        for m, d in enumerate(dims)
    )
    signs = jax.random.rademacher(sign_key, (order, rank), jnp.float32)
    return PolynomialWeights(
        kernels=kernels,
        offsets=signs * (order / (order + 2)) ** 0.5,
        out_kernel=jax.random.normal(out_key, (rank, dim), jnp.float32) * rank**-0.5,
        bias=jnp.zeros(dim, jnp.float32),
    )


def polynomial(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: PolynomialWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Polynomial of a chosen degree in the entries of all modalities, of low rank.

    z = Cᵀ ⊙ₚ (oₚ + Σᵢ Wᵢ⁽ᵖ⁾ᵀ xᵢ) + b over p = 1 … P. This is a linear map of the P-fold tensor
    power of [1; x₁; …; x_M] whose kernel has a CP decomposition of `rank` terms: it has products
    of up to P entries, within a modality as well as across. The shapes of `weights` tell P and
    the rank; P = 1 is a linear map of the concatenation.

    Absence: the entries of an absent modality are 0, so that it adds nothing to any factor.
    Where nothing is present, the result is Cᵀ ⊙ₚ oₚ + b.

    Cost: P · R · (Σ dᵢ + 1) + (R + 1) · dim weights and about twice as many FLOPs per sample,
    with P · R numbers per sample and modality as temporaries. All factors of a modality are one
    product.

    Choose it when the degree should not depend on the number of modalities, or when products
    within one modality matter: `low_rank` has a factor for each modality, and no squares.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Wᵢ [d_m, order, rank], offsets o [order, rank], output kernel C
        [rank, dim] and bias b [dim], as made by `init_polynomial`.
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
      >>> # (x₁ + x₂ + 1)²
      >>> kernels = (jnp.ones((1, 2, 1)), jnp.ones((1, 2, 1)))
      >>> weights = PolynomialWeights(kernels, jnp.ones((2, 1)), jnp.ones((1, 1)), jnp.zeros(1))
      >>> xs = [jnp.array([2.0]), jnp.array([3.0])]
      >>> print(polynomial(xs, weights))
      [36.]
      >>> print(polynomial(xs, weights, present=jnp.array([True, False])))
      [9.]

    References:
      Hou et al., `Deep Multimodal Multilinear Fusion with High-order Polynomial Pooling
      <https://papers.nips.cc/paper/2019/hash/f56d8183992b6c54c92c16a8519a6e2b-Abstract.html>`_,
      NeurIPS 2019. The paper pools local windows over time and modalities and stacks such
      layers; this is one block whose window is everything, and its outputs share the products.
    """
    xs, _ = clean_inputs("polynomial", xs, present)
    check_kernels("polynomial", xs, weights.kernels)
    mapped = [
        linear(x, kernel.reshape(kernel.shape[0], -1))
        for x, kernel in zip(xs, weights.kernels, strict=True)
    ]
    total = functools.reduce(jnp.add, mapped)
    factors = total.reshape(*total.shape[:-1], *weights.offsets.shape)
    factors = factors + weights.offsets.astype(total.dtype)
    order = weights.offsets.shape[0]
    product = functools.reduce(jnp.multiply, [factors[..., p, :] for p in range(order)])
    z = linear(product.astype(xs[0].dtype), weights.out_kernel)
    return (z + weights.bias.astype(z.dtype)).astype(xs[0].dtype)
