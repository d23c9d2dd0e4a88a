"""Tucker fusion: a full core tensor between projected modalities, or one of low rank."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._factors import (
    ones_where_absent,
    outer,
    product_over_present,
    random_kernel,
)
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_kernels,
    check_positive,
    clean_inputs,
    linear,
)

# The default core has at most 2 to this power entries.
_CORE_BITS = 18


class TuckerWeights(NamedTuple):
    """Weights of `tucker`.

    Attributes:
      kernels: Linear map of each modality, shapes [d_m, t_m].
      core: Core tensor, shape [t_1, …, t_M, t_out].
      out_kernel: From the core to the result, shape [t_out, dim].
    """

    kernels: tuple[Float[Array, "d_m t_m"], ...]
    core: Float[Array, "..."]
    out_kernel: Float[Array, "t_out dim"]


class MutanWeights(NamedTuple):
    """Weights of `mutan`.

    Attributes:
      kernels: Linear map of each modality, shapes [d_m, t].
      factors: Maps of each modality into the products, one for each rank, shapes [t, rank, t_out].
      out_kernel: From the sums of products to the result, shape [t_out, dim].
    """

    kernels: tuple[Float[Array, "d_m t"], ...]
    factors: tuple[Float[Array, "t rank t_out"], ...]
    out_kernel: Float[Array, "t_out dim"]


def init_tucker(
    key: Array, dims: Sequence[int], dim: int, *, core_dim: int | None = None
) -> TuckerWeights:
    """Initial weights of `tucker`: random maps and a random core.

    For inputs of variance 1 the projections x̃ᵢ have variance 1. The entries of the core have
    variance t⁻ᴹ, and the tᴹ products of projections mean square 1, so that the output has
    variance 1; so it has under any absence, for a vector of ones has the mean square 1 too.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      core_dim: Length t of every axis of the core. None takes the longest with which the core has
        no more than 2¹⁸ entries: 64 for two modalities, 22 for three.

    Returns:
      Weights in float32: kernels of shapes [d_m, t], core [t, …, t] with M + 1 axes and output
      kernel [t, dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_tucker(jax.random.key(0), (3, 5), 4, core_dim=2)
      >>> print([kernel.shape for kernel in weights.kernels], weights.core.shape)
      [(3, 2), (5, 2)] (2, 2, 2)
    """
    check_dims("tucker", dims, dim)
    if core_dim is None:
        core_dim = int(2 ** (_CORE_BITS / (len(dims) + 1)))
    check_positive("init_tucker", core_dim=core_dim)
    core_key, out_key, *keys = jax.random.split(key, len(dims) + 2)
    return TuckerWeights(
        kernels=tuple(random_kernel(keys[m], (d, core_dim), 1 / d) for m, d in enumerate(dims)),
        core=random_kernel(core_key, (core_dim,) * (len(dims) + 1), float(core_dim) ** -len(dims)),
        out_kernel=random_kernel(out_key, (core_dim, dim), 1 / core_dim),
    )


def tucker(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: TuckerWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Bilinear fusion through a Tucker decomposition, for any number of modalities.

    z = W_o h with hₖ = Σ T[a₁, …, a_M, k] ∏ᵢ x̃ᵢ[aᵢ], summed over a₁ … a_M, where x̃ᵢ = Wᵢxᵢ ∈ R^t
    and T is the core: ((T ×₁ x̃₁) ×₂ x̃₂) ×₃ W_o for M = 2. Linear in each modality: no bias,
    activation or dropout.

    Absence: An absent x̃ᵢ is a vector of ones, so that the core is summed over its axis. That is
    the choice with which a superdiagonal core gives the product of the others, as in `mlb`. Zeros
    where nothing is present.

    Cost: Σ dᵢtᵢ + t_o ∏ tᵢ + t_o · dim weights, twice as many FLOPs for a sample, and temporaries
    of about t to the power (M + 1)/2, rounded up, for a sample.

    Choose it for two or three modalities, where every pair of projected features may meet in every
    unit. The core grows as t to the power M + 1: from there on take `mutan` or `block`.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Wᵢ of shapes [d_m, t_m], core T [t_1, …, t_M, t_out] and output kernel W_o
        [t_out, dim], as made by `init_tucker`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. Products add up in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> core = jnp.array([[[1.0], [2.0]], [[3.0], [4.0]]])
      >>> weights = TuckerWeights((jnp.eye(2), jnp.eye(2)), core, jnp.eye(1))
      >>> xs = [jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])]
      >>> print(tucker(xs, weights))
      [2.]
      >>> print(tucker(xs, weights, present=jnp.array([True, False])))
      [3.]

    References:
      Ben-younes et al., `MUTAN: Multimodal Tucker Fusion for Visual Question Answering
      <https://arxiv.org/abs/1705.06676>`_, 2017.
    """
    xs, mask = clean_inputs("tucker", xs, present)
    check_kernels("tucker", xs, weights.kernels)
    projected = [linear(x, kernel) for x, kernel in zip(xs, weights.kernels, strict=True)]
    factors = ones_where_absent(projected, mask)
    # The core is as large as all its axes; with some of them contracted before the product and
    # the others after it, no more than about the root of that is in memory for a sample.
    split = (len(factors) + 2) // 2
    products = outer(factors[:split])
    hidden = linear(products.astype(xs[0].dtype), weights.core.reshape(products.shape[-1], -1))
    if factors[split:]:
        products = outer(factors[split:])
        slices = hidden.reshape(*mask.shape[:-1], products.shape[-1], -1)
        hidden = jnp.sum(products[..., :, None] * slices, axis=-2)
    z = linear(hidden.astype(xs[0].dtype), weights.out_kernel).astype(xs[0].dtype)
    return numerics.zero_absent(z, jnp.any(mask, axis=-1))


def init_mutan(
    key: Array, dims: Sequence[int], dim: int, *, core_dim: int = 128, rank: int = 5
) -> MutanWeights:
    """Initial weights of `mutan`: random linear maps.

    For inputs of variance 1 all projections and factors have variance 1, and so has a product of
    any number of them. The sum over R ranks has variance R, so the entries of W_o have variance
    1/(R t) and the output variance 1, under any absence.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      core_dim: Width t of the projections and of the sum of products.
      rank: Number R of products in the sum.

    Returns:
      Weights in float32: kernels of shapes [d_m, t], factors [t, rank, t] and output kernel
      [t, dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_mutan(jax.random.key(0), (3, 5), 4, core_dim=8, rank=2)
      >>> print([factors.shape for factors in weights.factors], weights.out_kernel.shape)
      [(8, 2, 8), (8, 2, 8)] (8, 4)
    """
    check_dims("mutan", dims, dim)
    check_positive("init_mutan", core_dim=core_dim, rank=rank)
    out_key, *keys = jax.random.split(key, 2 * len(dims) + 1)
    shape = (core_dim, rank, core_dim)
    return MutanWeights(
        kernels=tuple(random_kernel(keys[2 * m], (d, core_dim), 1 / d) for m, d in enumerate(dims)),
        factors=tuple(
            random_kernel(keys[2 * m + 1], shape, 1 / core_dim) for m in range(len(dims))
        ),
        out_kernel=random_kernel(out_key, (core_dim, dim), 1 / (rank * core_dim)),
    )


def mutan(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: MutanWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Tucker fusion with a core of low rank (MUTAN), for any number of modalities.

    z = W_o Σᵣ ∏ᵢ Fᵢᵣx̃ᵢ with x̃ᵢ = Wᵢxᵢ ∈ R^t, Fᵢᵣ ∈ R^(t_o×t) and r = 1 … R; the paper has M = 2 and
    writes M_r and N_r. When everything is present it is `tucker` with the core
    T[a₁, …, a_M, k] = Σᵣ ∏ᵢ Fᵢᵣ[k, aᵢ]. Linear in each modality: no bias, activation or dropout.

    Absence: The factors Fᵢᵣx̃ᵢ of an absent modality are ones, so that the products are those of
    the others. Zeros where nothing is present.

    Cost: t Σ dᵢ + M t R t_o + t_o · dim weights, twice as many FLOPs for a sample, and
    temporaries of M R t_o numbers for a sample.

    Choose it as `tucker` for wider projections or more modalities: its weights grow linearly with
    their number. `block` spends the same on wider projections that meet in chunks.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Wᵢ of shapes [d_m, t], factors Fᵢ [t, rank, t_out] and output kernel W_o
        [t_out, dim], as made by `init_mutan`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. Products add up in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> eye = jnp.eye(2)
      >>> factors = (jnp.stack([eye, eye], axis=1), jnp.stack([eye, 10 * eye], axis=1))
      >>> weights = MutanWeights((eye, eye), factors, eye)
      >>> print(mutan([jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])], weights))
      [33. 88.]

    References:
      Ben-younes et al., `MUTAN: Multimodal Tucker Fusion for Visual Question Answering
      <https://arxiv.org/abs/1705.06676>`_, 2017.
    """
    xs, mask = clean_inputs("mutan", xs, present)
    check_kernels("mutan", xs, weights.kernels)
    factors = [_map_ranks(*one) for one in zip(xs, weights.kernels, weights.factors, strict=True)]
    hidden = jnp.sum(product_over_present(factors, mask), axis=-2).astype(xs[0].dtype)
    return linear(hidden, weights.out_kernel).astype(xs[0].dtype)


def _map_ranks(
    x: Float[Array, "*batch d"], kernel: Float[Array, "d t"], factors: Float[Array, "t rank t_out"]
) -> Float[Array, "*batch rank t_out"]:
    """Returns the factors Fᵣ(Wx) of one modality, all ranks by one product."""
    projected = linear(x, kernel).astype(x.dtype)
    mapped = linear(projected, factors.reshape(projected.shape[-1], -1))
    return mapped.reshape(*x.shape[:-1], *factors.shape[1:])
