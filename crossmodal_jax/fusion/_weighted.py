"""F(X) = Σ wᵢ fᵢ(X), the plainest learned fusion."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_kernels,
    clean_inputs,
    linear,
    mix,
    scaled_normal,
)


class WeightedSumWeights(NamedTuple):
    """Weights of `weighted_sum`.

    Attributes:
      kernels: Linear map of each modality, shapes [d_m, dim].
      logits: Logarithms of the unnormalised weights, shape [m], or [*batch, m] for weights of
        each sample; −∞ is the weight 0.
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    logits: Float[Array, "*batch m"]


def init_weighted_sum(key: Array, dims: Sequence[int], dim: int) -> WeightedSumWeights:
    """Initial weights of `weighted_sum`: random linear maps, all modalities of equal weight.

    The entries of Wᵢ have variance √M / dᵢ. For independent inputs of variance 1 the output then
    has variance √M / k when k of the M modalities are present, which stays between 1/√M
    (all present) and √M (a single one).

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim] and logits of shape [m].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_weighted_sum(jax.random.key(0), (3, 5), 4)
      >>> print([kernel.shape for kernel in weights.kernels], weights.logits)
      [(3, 4), (5, 4)] [0. 0.]
    """
    check_dims("weighted_sum", dims, dim)
    keys = jax.random.split(key, len(dims))
    kernels = tuple(scaled_normal(keys[m], (d, dim), len(dims) ** 0.25) for m, d in enumerate(dims))
    return WeightedSumWeights(kernels, jnp.zeros(len(dims), jnp.float32))


def weighted_sum(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: WeightedSumWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Weighted sum of linear maps of the modalities, renormalised over those present.

    z = Σᵢ w̃ᵢ Wᵢ xᵢ with w = exp(θ) and w̃ᵢ = mᵢ wᵢ / Σⱼ mⱼ wⱼ, where mᵢ is 1 if modality i is
    present. Learned, θ is one number per modality. Fixed weights w ≥ 0 are θ = log w, and θ of
    shape [*batch, m] gives each sample weights of its own. Products take the kernels in the dtype
    of the inputs and add up in float32 at least.

    Absence: the weights are renormalised over the modalities that are present. Zeros where
    nothing is present, or nothing of positive weight.

    Cost: dim Σ d_m + m weights, 2 dim Σ d_m operations a sample, and the mapped modalities,
    m dim numbers a sample in float32.

    Choose it as the first thing to compare others with, and where the weights must be read: they
    are the same for all samples, unless they come from elsewhere.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Wᵢ of shapes [d_m, dim] and logits θ of a shape that broadcasts to
        [*batch, m], as made by `init_weighted_sum` for all samples alike.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> weights = WeightedSumWeights((jnp.eye(2), 2 * jnp.eye(2)), jnp.zeros(2))
      >>> xs = [jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])]
      >>> print(weighted_sum(xs, weights))
      [0.5 1. ]
      >>> print(weighted_sum(xs, weights, present=jnp.array([False, True])))
      [0. 2.]
      >>> print(weighted_sum(xs, weights._replace(logits=jnp.log(jnp.array([1.0, 0.0])))))
      [1. 0.]
    """
    xs, mask = clean_inputs("weighted_sum", xs, present)
    check_kernels("weighted_sum", xs, weights.kernels)
    logits = _broadcast_logits(weights.logits, mask.shape)
    # A softmax over the present logits alone is the softmax over all of them, renormalised.
    shares = numerics.masked_softmax(logits, mask)[..., None]
    mapped = [linear(x, kernel) for x, kernel in zip(xs, weights.kernels, strict=True)]
    return mix(shares, mapped).astype(xs[0].dtype)


def _broadcast_logits(logits: Array, shape: tuple[int, ...]) -> Float[Array, "*batch m"]:
    try:
        return jnp.broadcast_to(logits, shape)
    except ValueError:
        raise ValueError(
            f"weighted_sum: `weights.logits` must broadcast to [*batch, m] = {shape}, got shape "
            f"{logits.shape}; its last axis has one entry per modality."
        ) from None
