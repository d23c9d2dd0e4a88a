"""Softmax attention over modalities: one share per modality, read from all of them."""

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

# The standard deviation of the initial logits: the shares start out nearly even.
_LOGIT_GAIN = 0.5


class AttentionWeightedWeights(NamedTuple):
    """Weights of `attention_weighted`.

    Attributes:
      kernels: Linear map of each modality, shapes [d_m, dim].
      attention_kernel: From the masked concatenation to the logits, shape [Σ d_m + m, m].
      attention_bias: Bias of the logits, shape [m].
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    attention_kernel: Float[Array, "dims m"]
    attention_bias: Float[Array, "m"]


def init_attention_weighted(key: Array, dims: Sequence[int], dim: int) -> AttentionWeightedWeights:
    """Initial weights of `attention_weighted`: random linear maps, nearly even shares.

    The entries of Pᵢ have variance √M / dᵢ, as in `init_weighted_sum`: for independent inputs of
    variance 1 and even shares, the output has variance √M / k when k of the M modalities are
    present. The logits have standard deviation ½.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim], attention kernel [Σ d_m + m, m] and
      attention bias [m].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_attention_weighted(jax.random.key(0), (3, 5), 4)
      >>> print([kernel.shape for kernel in weights.kernels], weights.attention_kernel.shape)
      [(3, 4), (5, 4)] (10, 2)
    """
    check_dims("attention_weighted", dims, dim)
    num = len(dims)
    *keys, attention_key = jax.random.split(key, num + 1)
    return AttentionWeightedWeights(
        kernels=tuple(scaled_normal(keys[m], (d, dim), num**0.25) for m, d in enumerate(dims)),
        attention_kernel=scaled_normal(attention_key, (sum(dims) + num, num), _LOGIT_GAIN),
        attention_bias=jnp.zeros(num, jnp.float32),
    )


def attention_weighted(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: AttentionWeightedWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Weighted sum of linear maps of the modalities, the weights read from the sample itself.

    z = Σᵢ aᵢ Pᵢ xᵢ with a = softmax(W [m₁x₁; …; m_M x_M; m] + b) over the present modalities,
    where mᵢ is 1 if modality i is present: one scalar aᵢ for each modality of a sample.

    Absence: an absent modality has the logit −∞, so its weight is 0 and the others add up to 1;
    the indicators m let the weights depend on what is missing. Zeros where nothing is present.

    Cost: (dim + m) Σ d_m + m² + m weights, 2 (dim + m) Σ d_m + 2 m² operations a sample, and the
    mapped modalities, m dim numbers a sample in float32.

    Choose it where the modalities differ in worth from sample to sample and one number for each
    has to say so. `gated` decides unit by unit, for m times as many weights in its gates as in
    its maps; `weighted_sum` does not look at the sample.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Pᵢ of shapes [d_m, dim], attention kernel W [Σ d_m + m, m] and attention
        bias b [m], as made by `init_attention_weighted`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs. Products add up
      in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> even = jnp.zeros((6, 2)), jnp.zeros(2)
      >>> weights = AttentionWeightedWeights((jnp.eye(2), 2 * jnp.eye(2)), *even)
      >>> xs = [jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])]
      >>> print(attention_weighted(xs, weights))
      [0.5 1. ]
      >>> print(attention_weighted(xs, weights, present=jnp.array([False, True])))
      [0. 2.]

    References:
      Bahdanau et al., `Neural Machine Translation by Jointly Learning to Align and Translate
      <https://arxiv.org/abs/1409.0473>`_, 2014, for a softmax of learned scores as the weights of
      a sum. Here it runs over modalities, and a linear map of all of them gives the scores.
    """
    xs, mask = clean_inputs("attention_weighted", xs, present)
    shares = _shares("attention_weighted", xs, weights, mask)
    mapped = [linear(x, kernel) for x, kernel in zip(xs, weights.kernels, strict=True)]
    return mix(shares[..., None], mapped).astype(xs[0].dtype)


def attention_weights(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: AttentionWeightedWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch m"]:
    """Share of each modality in `attention_weighted`: the weights aᵢ of its sum.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Weights of `attention_weighted`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The shares, shape [*batch, m], float32 at least: 0 for absent modalities, summing to 1 over
      the present ones.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_attention_weighted(jax.random.key(0), (3, 5), 4)
      >>> xs = [jnp.ones(3), jnp.full(5, jnp.nan)]
      >>> print(attention_weights(xs, weights, present=jnp.array([True, False])))
      [1. 0.]
    """
    xs, mask = clean_inputs("attention_weights", xs, present)
    return _shares("attention_weights", xs, weights, mask)


def _shares(
    name: str,
    xs: Sequence[Array],
    weights: AttentionWeightedWeights,
    mask: Bool[Array, "*batch m"],
) -> Float[Array, "*batch m"]:
    """Returns the shares of clean inputs, in the dtype in which products add up."""
    check_kernels(name, xs, weights.kernels)
    joint = jnp.concatenate([*xs, mask.astype(xs[0].dtype)], axis=-1)
    logits = linear(joint, weights.attention_kernel)
    return numerics.masked_softmax(logits + weights.attention_bias.astype(logits.dtype), mask)
