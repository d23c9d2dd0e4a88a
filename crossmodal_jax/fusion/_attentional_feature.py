"""Attentional feature fusion (AFF, iAFF): what is mixed decides how it is mixed."""

import functools
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
    check_positive,
    clean_inputs,
    linear,
    mix,
    scaled_normal,
)

# The ratio of the width of the result to that of a bottleneck in the authors' code.
_REDUCTION = 4


class AttentionalFeatureWeights(NamedTuple):
    """Weights of `attentional_feature`; the tuples after the first have one entry an iteration.

    Attributes:
      kernels: Linear map of each modality, shapes [d_m, dim].
      down_kernels: Into the bottlenecks of the local and the global branch, shapes
        [dim, 2, hidden].
      down_biases: Their biases, shapes [2, hidden].
      up_kernels: From the bottlenecks to the logits, shapes [2, hidden, m, dim].
      up_biases: Bias of the logits, shapes [m, dim].
    """

    kernels: tuple[Float[Array, "d_m dim"], ...]
    down_kernels: tuple[Float[Array, "dim 2 hidden"], ...]
    down_biases: tuple[Float[Array, "2 hidden"], ...]
    up_kernels: tuple[Float[Array, "2 hidden m dim"], ...]
    up_biases: tuple[Float[Array, "m dim"], ...]


def init_attentional_feature(
    key: Array,
    dims: Sequence[int],
    dim: int,
    *,
    iterations: int = 1,
    hidden: int | None = None,
) -> AttentionalFeatureWeights:
    """Initial weights of `attentional_feature`: random linear maps, nearly even gates.

    The entries of Pᵢ have variance √M / dᵢ, as in `init_weighted_sum`: for independent inputs of
    variance 1 and even gates, the output has variance √M / k when k of the M modalities are
    present. With all of them the sum u has variance M √M and the bottlenecks 1; the logits
    of the gates have variance ¼.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      iterations: How often the gates are computed: 1 for AFF, 2 for iAFF.
      hidden: Width of each of the two bottlenecks; None for dim // 4, but at least 8.

    Returns:
      Weights in float32: kernels of shapes [d_m, dim] and, for each iteration, kernels
      [dim, 2, hidden] and [2, hidden, m, dim] and biases [2, hidden] and [m, dim].

    Raises:
      ValueError: If there is no modality, or a width or `iterations` is not positive.

    Examples:
      >>> import jax
      >>> weights = init_attentional_feature(jax.random.key(0), (3, 5), 4, iterations=2)
      >>> print([kernel.shape for kernel in weights.down_kernels])
      [(4, 2, 8), (4, 2, 8)]
    """
    check_dims("attentional_feature", dims, dim)
    hidden = max(dim // _REDUCTION, 8) if hidden is None else hidden
    check_positive("init_attentional_feature", iterations=iterations, hidden=hidden)
    num = len(dims)
    *keys, down_key, up_key = jax.random.split(key, num + 2)
    # The sum of the modalities comes first; then their mixtures, of variance 1/√M.
    gains = [num**-0.75, *[num**0.25] * (iterations - 1)]
    down_keys, up_keys = (jax.random.split(k, iterations) for k in (down_key, up_key))
    up_kernels = [scaled_normal(k, (2 * hidden, num * dim), 0.5**0.5) for k in up_keys]
    return AttentionalFeatureWeights(
        kernels=tuple(scaled_normal(keys[m], (d, dim), num**0.25) for m, d in enumerate(dims)),
        down_kernels=tuple(
            scaled_normal(k, (dim, 2, hidden), gain)
            for k, gain in zip(down_keys, gains, strict=True)
        ),
        down_biases=tuple(jnp.zeros((2, hidden), jnp.float32) for _ in gains),
        up_kernels=tuple(kernel.reshape(2, hidden, num, dim) for kernel in up_kernels),
        up_biases=tuple(jnp.zeros((num, dim), jnp.float32) for _ in gains),
    )


def attentional_feature(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: AttentionalFeatureWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Attentional feature fusion: gates of every unit, computed from a first mixture.

    AFF: z = Σᵢ gᵢ ⊙ Pᵢxᵢ with g = softmax over the present i of L(u)ᵢ + G(u)ᵢ, unit by unit, and
    u = Σ_{i present} Pᵢxᵢ. Both branches, local and global, are bottlenecks
    B relu(A u + a) with biases b shared by the two. iAFF: the same again from u ← z, with branches
    of its own, but mixing the same Pᵢxᵢ; there are as many iterations as branches in `weights`.

    For M = 2 the first gate is the paper's m = σ(local(u) + global(u)), whose branches are the
    differences of ours between the two modalities, and z = m ⊙ P₁x₁ + (1 − m) ⊙ P₂x₂. The paper
    has feature maps: its global branch pools over positions and both normalise over the batch.
    A vector has one position, so the branches here differ only in their weights, and a sample
    never depends on its batch.

    Absence: an absent modality adds nothing to u, and its gate is 0 while the others add up to 1.
    Zeros where nothing is present.

    Cost: with h the width of a bottleneck and T iterations,
    dim Σ d_m + T (2h (1 + dim (m + 1)) + m dim) weights, twice as many operations, and the gates
    and mapped modalities, 2 m dim numbers a sample in float32.

    Choose it where the modalities are of one kind and add up to something meaningful, such as two
    depths of one network. `gated` reads its gates from the inputs, which need not be comparable.

    Args:
      xs: One array per modality, vectors of shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Pᵢ [d_m, dim] and, for each iteration, kernels A [dim, 2, hidden] and B
        [2, hidden, m, dim] and biases a [2, hidden] and b [m, dim] of the two branches, as made
        by `init_attentional_feature`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs. Products add up
      in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_attentional_feature(jax.random.key(0), (2, 2), 2, iterations=2)
      >>> weights = weights._replace(kernels=(jnp.eye(2), jnp.eye(2)))
      >>> xs = [jnp.array([1.0, 2.0]), jnp.array([jnp.nan, jnp.nan])]
      >>> print(attentional_feature(xs, weights, present=jnp.array([True, False])))
      [1. 2.]

    References:
      Dai et al., `Attentional Feature Fusion <https://arxiv.org/abs/2009.14082>`_, 2021.
    """
    xs, mask = clean_inputs("attentional_feature", xs, present)
    check_kernels("attentional_feature", xs, weights.kernels)
    mapped = [linear(x, kernel) for x, kernel in zip(xs, weights.kernels, strict=True)]
    mixture = functools.reduce(jnp.add, mapped).astype(xs[0].dtype)
    _, *branches = weights
    for branch in zip(*branches, strict=True):
        gates = numerics.masked_softmax(_logits(mixture, *branch), mask[..., None], axis=-2)
        mixture = mix(gates, mapped).astype(xs[0].dtype)
    return mixture


def _logits(
    u: Float[Array, "*batch dim"],
    down_kernel: Float[Array, "dim 2 hidden"],
    down_bias: Float[Array, "2 hidden"],
    up_kernel: Float[Array, "2 hidden m dim"],
    up_bias: Float[Array, "m dim"],
) -> Float[Array, "*batch m dim"]:
    """Returns local(u) + global(u): side by side, two bottlenecks are one of twice the width."""
    hidden = linear(u, down_kernel.reshape(u.shape[-1], -1))
    hidden = jax.nn.relu(hidden + down_bias.reshape(-1).astype(hidden.dtype)).astype(u.dtype)
    logits = linear(hidden, up_kernel.reshape(hidden.shape[-1], -1))
    return logits.reshape(*logits.shape[:-1], *up_bias.shape) + up_bias.astype(logits.dtype)
