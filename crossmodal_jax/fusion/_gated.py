"""Gated multimodal unit: every output unit chooses, sample by sample, whom it listens to."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import check_dims, check_kernels, clean_inputs, linear

# The gate with which a unit starts out for the modality that it prefers.
_INITIAL_GATE = 0.85
# Brings the output of tanh on normal numbers close to the variance of its input.
_TANH_GAIN = 5 / 3


class GatedWeights(NamedTuple):
    """Weights of `gated`.

    Attributes:
      kernels: Linear map of each modality, shapes [d_m, dim].
      biases: Bias of each modality, shape [m, dim].
      gate_kernel: From the masked concatenation to the gates, shape [Σ d_m + m, m, dim].
      gate_bias: Bias of the gates, shape [m, dim].
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    biases: Float[Array, "m dim"]
    gate_kernel: Float[Array, "dims m dim"]
    gate_bias: Float[Array, "m dim"]


def init_gated(key: Array, dims: Sequence[int], dim: int) -> GatedWeights:
    """Initial weights of `gated`: each unit prefers one modality, in turn.

    An even mix of M independent hᵢ would have the variance of one of them over M. The biases of
    the gates therefore give unit k a gate of 0.85 for modality k mod M, and share the rest evenly;
    when that modality is absent, the others are mixed evenly.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim], biases [m, dim], gate kernel
      [Σ d_m + m, m, dim] and gate biases [m, dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_gated(jax.random.key(0), (3, 5), 4)
      >>> print([kernel.shape for kernel in weights.kernels], weights.gate_kernel.shape)
      [(3, 4), (5, 4)] (10, 2, 4)
    """
    check_dims("gated", dims, dim)
    num, width = len(dims), sum(dims) + len(dims)
    *keys, gate_key = jax.random.split(key, num + 1)
    kernels = tuple(
        jax.random.normal(keys[m], (d, dim), jnp.float32) * (_TANH_GAIN * d**-0.5)
        for m, d in enumerate(dims)
    )
    gate_kernel = jax.random.normal(gate_key, (width, num, dim), jnp.float32)
    preferred = jnp.arange(num)[:, None] == jnp.arange(dim)[None, :] % num
    odds = _INITIAL_GATE / (1 - _INITIAL_GATE) * max(num - 1, 1)
    return GatedWeights(
        kernels=kernels,
        biases=jnp.zeros((num, dim), jnp.float32),
        gate_kernel=gate_kernel * (0.5 * width**-0.5),
        gate_bias=jnp.where(preferred, jnp.float32(math.log(odds)), jnp.float32(0)),
    )


def gated(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: GatedWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    activation: Callable[[Array], Array] = jnp.tanh,
) -> Float[Array, "*batch dim"]:
    """Gated multimodal unit (GMU) for any number of modalities.

    z = Σᵢ gᵢ ⊙ hᵢ with hᵢ = tanh(Wᵢxᵢ + bᵢ). The gates of one unit are a softmax over the
    present modalities of a linear map of the masked concatenation:
    gᵢ = exp(aᵢ) / Σ_{j present} exp(aⱼ) with aᵢ = Vᵢ [m₁x₁; …; m_M x_M; m] + cᵢ. For M = 2 this
    is the logistic gate of the paper.

    Absence: an absent modality has gate 0, those of the others add up to 1, and they can read
    from the indicators m what is missing. Zeros where nothing is present.

    Cost: with D = Σ dᵢ, dim · (D + M (D + M) + 2 M) weights and twice as many FLOPs a sample, the
    gates M times as many as the maps; M · dim numbers each of gates and hidden units.

    Choose it where it differs from unit to unit and from sample to sample which modality is to be
    believed. With many or wide modalities `attention_weighted` is far cheaper.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Wᵢ [d_m, dim], biases b [m, dim], gate kernel V [Σ d_m + m, m, dim] and
        gate biases c [m, dim], as made by `init_gated`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      activation: What is applied to Wᵢxᵢ + bᵢ; tanh in the paper. The identity suits inputs
        that are codes of one space already, which tanh would squash.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. Products add up in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_gated(jax.random.key(0), (3, 5), 4)
      >>> xs = [jnp.ones((2, 3)), jnp.ones((2, 5))]
      >>> present = jnp.array([[True, True], [False, False]])
      >>> print(gated(xs, weights, present=present)[1])
      [0. 0. 0. 0.]

    References:
      Arevalo et al., `Gated Multimodal Units for Information Fusion
      <https://arxiv.org/abs/1702.01992>`_, 2017.
    """
    xs, mask = clean_inputs("gated", xs, present)
    logits = _logits(xs, weights, mask)
    hidden = [
        _affine(x, kernel, bias)
        for x, kernel, bias in zip(xs, weights.kernels, weights.biases, strict=True)
    ]
    # All that lies between two products is made anew for the gradient: it takes less time than
    # to write it down and read it.
    blend = jax.checkpoint(functools.partial(_blend, activation))
    return blend(logits, hidden, mask).astype(xs[0].dtype)


def gated_weights(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: GatedWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch m"]:
    """Share of each modality in `gated`: its gate, averaged over the units.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Weights of `gated`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The mean gates, shape [*batch, m], float32 at least: 0 for absent modalities, summing to 1
      over the present ones.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_gated(jax.random.key(0), (3, 5), 4)
      >>> xs = [jnp.ones(3), jnp.full(5, jnp.nan)]
      >>> print(gated_weights(xs, weights, present=jnp.array([True, False])))
      [1. 0.]
    """
    xs, mask = clean_inputs("gated_weights", xs, present)
    gates = _softmax(_logits(xs, weights, mask), mask)
    return jnp.stack([jnp.mean(gate, axis=-1) for gate in gates], axis=-1)


def _logits(
    xs: Sequence[Array], weights: GatedWeights, mask: Bool[Array, "*batch m"]
) -> list[Float[Array, "*batch dim"]]:
    """Returns what the gates of every modality are made of, from clean inputs."""
    check_kernels("gated", xs, weights.kernels)
    joint = jnp.concatenate([*xs, mask.astype(xs[0].dtype)], axis=-1)
    # One product per modality: slices of a single one would be copies, and so would their slopes.
    return [_affine(joint, weights.gate_kernel[:, m], weights.gate_bias[m]) for m in range(len(xs))]


def _affine(
    x: Float[Array, "*batch d"], kernel: Float[Array, "d dim"], bias: Float[Array, "dim"]
) -> Float[Array, "*batch dim"]:
    mapped = linear(x, kernel)
    return mapped + bias.astype(mapped.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _blend(
    activation: Callable[[Array], Array],
    logits: list[Float[Array, "*batch dim"]],
    hidden: list[Float[Array, "*batch dim"]],
    mask: Bool[Array, "*batch m"],
) -> Float[Array, "*batch dim"]:
    """Returns z = Σᵢ gᵢ ⊙ activation(hᵢ)."""
    gates, shown = _softmax(logits, mask), map(activation, hidden)
    return functools.reduce(jnp.add, map(jnp.multiply, gates, shown))


@_blend.defjvp
def _blend_jvp(activation: Callable[[Array], Array], primals: Any, tangents: Any) -> Any:
    """dz = Σᵢ gᵢ ⊙ ((activation(hᵢ) − z) ⊙ daᵢ + activation′(hᵢ) ⊙ dhᵢ): few passes over memory."""
    logits, hidden, mask = primals
    d_logits, d_hidden, _ = tangents
    z = _blend(activation, *primals)

    def term(gate: Array, d_logit: Array, h: Array, dh: Array) -> Array:
        shown, d_shown = jax.jvp(activation, (h,), (dh,))
        return gate * (shown - z) * d_logit + gate * d_shown

    gates = _softmax(logits, mask)
    return z, functools.reduce(jnp.add, map(term, gates, d_logits, hidden, d_hidden))


def _softmax(
    logits: list[Float[Array, "*batch dim"]], mask: Bool[Array, "*batch m"]
) -> list[Float[Array, "*batch dim"]]:
    """`numerics.masked_softmax` over the modalities, without a stack of them."""
    kept = [jnp.where(mask[..., m, None], logit, -jnp.inf) for m, logit in enumerate(logits)]
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, kept))
    largest = jnp.where(jnp.isfinite(largest), largest, 0)
    exponentials = [jnp.exp(logit - largest) for logit in kept]
    total = functools.reduce(jnp.add, exponentials)
    inverse = 1 / jnp.where(total > 0, total, 1)
    return [exponential * inverse for exponential in exponentials]
