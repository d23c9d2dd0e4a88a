"""Squeeze and excitation across modalities: the others decide which units of the first pass."""

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
    condition,
    linear,
    scaled_normal,
)

# The paper's ratio of the width of the result to that of the bottleneck.
_REDUCTION = 16


class ChannelGateWeights(NamedTuple):
    """Weights of `channel_gate`.

    Attributes:
      kernel: Linear map of the first modality, shape [d_1, dim].
      squeeze_kernels: From each further modality to the bottleneck, shapes [d_m, hidden].
      squeeze_biases: Biases of these maps, shape [m − 1, hidden].
      excite_kernel: From the bottleneck to the gates, shape [hidden, dim].
    """

    kernel: Float[Array, "d_1 dim"]
    squeeze_kernels: tuple[Float[Array, "d_m hidden"], ...]
    squeeze_biases: Float[Array, "m_less_1 hidden"]
    excite_kernel: Float[Array, "hidden dim"]


def init_channel_gate(
    key: Array, dims: Sequence[int], dim: int, *, hidden: int | None = None
) -> ChannelGateWeights:
    """Initial weights of `channel_gate`: gates about one half.

    The entries of P have variance 2/d₁: for inputs of variance 1 the output has a mean square
    near ½ with gates near ½, and 2 without a conditioner. The maps Aᵢ share the variance 1
    of the bottleneck evenly, and the logits of the gates have variance ½.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities, the gated one first.
      dim: Width of the result.
      hidden: Width of the bottleneck; None for dim // 16, as in the paper, but at least 8.

    Returns:
      Weights in float32: kernel [d_1, dim], squeeze kernels of shapes [d_m, hidden], squeeze
      biases [m − 1, hidden] and excite kernel [hidden, dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_channel_gate(jax.random.key(0), (3, 5), 4, hidden=6)
      >>> print(weights.squeeze_kernels[0].shape, weights.excite_kernel.shape)
      (5, 6) (6, 4)
    """
    check_dims("channel_gate", dims, dim)
    hidden = max(dim // _REDUCTION, 8) if hidden is None else hidden
    check_positive("init_channel_gate", hidden=hidden)
    first, *others = dims
    *keys, excite_key = jax.random.split(key, len(dims) + 1)
    gain = max(len(others), 1) ** -0.5
    return ChannelGateWeights(
        kernel=scaled_normal(keys[0], (first, dim), 2**0.5),
        squeeze_kernels=tuple(
            scaled_normal(keys[m], (d, hidden), gain) for m, d in enumerate(others, start=1)
        ),
        squeeze_biases=jnp.zeros((len(others), hidden), jnp.float32),
        excite_kernel=scaled_normal(excite_key, (hidden, dim)),
    )


def channel_gate(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: ChannelGateWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Units of the first modality, each multiplied by a gate that all others control.

    z = Px₁ ⊙ s with s = σ(W relu(Σ_{i≥2} mᵢ (Aᵢxᵢ + bᵢ))), where mᵢ is 1 if modality i is present.
    This is the excitation of a squeeze-and-excitation block, read from other modalities than the
    one that it gates; vectors have nothing left to squeeze.

    Absence: a conditioner that is absent adds nothing to the bottleneck. With none of them, or a
    single modality, the gate is exactly 1, so z = Px₁; zeros where x₁ is absent.

    Cost: with D = Σ_{i≥2} d_i and h the width of the bottleneck, (d₁ + h) dim + (D + m − 1) h
    weights, twice as many operations and 2 dim + h numbers in float32 a sample.

    Choose it where other modalities can say which features of the first matter, and have nothing
    to add to it. `film` can also amplify, change the sign and shift.

    Args:
      xs: One array per modality, shapes [*batch, d_m], the gated one first; the batch axes
        broadcast.
      weights: Kernel P [d_1, dim], squeeze kernels Aᵢ [d_m, hidden], squeeze biases b
        [m − 1, hidden] and excite kernel W [hidden, dim], as made by `init_channel_gate`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The gated representation, shape [*batch, dim], in the dtype of the inputs. Products add up
      in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_channel_gate(jax.random.key(0), (2, 5), 2)
      >>> weights = weights._replace(kernel=jnp.eye(2))
      >>> xs = [jnp.array([1.0, 2.0]), jnp.zeros(5)]
      >>> print(channel_gate(xs, weights))
      [0.5 1. ]
      >>> print(channel_gate(xs, weights, present=jnp.array([True, False])))
      [1. 2.]

    References:
      Hu et al., `Squeeze-and-Excitation Networks <https://arxiv.org/abs/1709.01507>`_, 2018.
    """
    xs, mask = clean_inputs("channel_gate", xs, present)
    check_kernels("channel_gate", xs, (weights.kernel, *weights.squeeze_kernels))
    hidden = jax.nn.relu(condition(xs, mask, weights.squeeze_kernels, weights.squeeze_biases))
    gate = jax.nn.sigmoid(linear(hidden.astype(xs[0].dtype), weights.excite_kernel))
    conditioned = jnp.any(mask[..., 1:], axis=-1, keepdims=True)
    gate = jnp.where(conditioned, gate, 1)
    return (gate * linear(xs[0], weights.kernel)).astype(xs[0].dtype)
