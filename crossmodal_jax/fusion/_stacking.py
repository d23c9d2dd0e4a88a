"""Stacking: a linear classifier over the decisions of the modalities."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import check_dims, check_kernels, clean_inputs, linear


class StackingWeights(NamedTuple):
    """Weights of `stacking`.

    Attributes:
      kernels: Linear map of the log-probabilities of each modality, shapes [k_m, dim].
      biases: Bias that each modality adds where it is present, shape [m, dim].
      bias: Bias, shape [dim].
    """

    kernels: tuple[Float[Array, "k_m dim"], ...]
    biases: Float[Array, "m dim"]
    bias: Float[Array, "dim"]


def init_stacking(key: Array, dims: Sequence[int], dim: int) -> StackingWeights:
    """Initial weights of `stacking`: the product of the class probabilities.

    The kernel of a modality with as many classes as the result is the identity, and biases are
    zeros: softmax(z) is Πᵢ pᵢ over the present modalities, made to add up to 1. A modality with
    other classes than the result starts with zeros. The problem is convex, so that a start needs
    nothing random.

    Args:
      key: Random key, not used.
      dims: Numbers of classes k₁ … k_M of the modalities.
      dim: Number of classes of the result.

    Returns:
      Weights in float32: kernels of shapes [k_m, dim], biases [m, dim] and bias [dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_stacking(jax.random.key(0), (2, 2), 2)
      >>> print(weights.kernels[0], weights.biases.shape, weights.bias.shape)
      [[1. 0.]
       [0. 1.]] (2, 2) (2,)
    """
    del key  # nothing is drawn
    check_dims("stacking", dims, dim)
    kernels = tuple(
        jnp.eye(dim, dtype=jnp.float32) if k == dim else jnp.zeros((k, dim), jnp.float32)
        for k in dims
    )
    biases = jnp.zeros((len(dims), dim), jnp.float32)
    return StackingWeights(kernels, biases, jnp.zeros(dim, jnp.float32))


def stacking(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: StackingWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Linear map of the log-probabilities of all modalities and of their presence.

    z = Σᵢ mᵢ (Wᵢ log pᵢ + bᵢ) + c with pᵢ = softmax(xᵢ), where mᵢ is 1 if modality i is present.
    With Wᵢ = I, bᵢ = −log π and c = log π, softmax(z) is Bayes' rule for modalities that are
    independent given the class, whose prior is π, under any mask.

    Absence: An absent modality adds nothing, neither evidence nor bias. Where nothing is present
    the result is the bias c, for example the logarithms of the class frequencies.

    Cost: Σᵢ (kᵢ + 1) dim + dim weights; 2 Σᵢ (kᵢ + 1) dim FLOPs and Σᵢ (kᵢ + 1) numbers of
    temporaries a sample, in one matrix product.

    Choose it over `late_mean` and `late_product` when there are samples to learn from on which
    the modalities were not trained: it learns how far to trust each for each class.

    Args:
      xs: Class scores (logits) of each modality, shapes [*batch, k_m]; the batch axes broadcast.
      weights: Kernels W of shapes [k_m, dim], biases b [m, dim] and c [dim], as made by
        `init_stacking`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      Logits of the classes, shape [*batch, dim], in the dtype of the inputs.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_stacking(jax.random.key(0), (2, 2), 2)
      >>> xs = [jnp.log(jnp.array([0.75, 0.25])), jnp.log(jnp.array([0.5, 0.5]))]
      >>> print(f"{jax.nn.softmax(stacking(xs, weights))[0]:.3f}")
      0.750

    References:
      Wolpert, Stacked Generalization, Neural Networks 5(2), 1992.
    """
    xs, mask = clean_inputs("stacking", xs, present)
    check_kernels("stacking", xs, weights.kernels)
    dtype = xs[0].dtype
    wide = np.promote_types(dtype, np.float32)
    decisions = [jax.nn.log_softmax(x.astype(wide), axis=-1).astype(dtype) for x in xs]
    decisions = [numerics.zero_absent(x, mask[..., m]) for m, x in enumerate(decisions)]
    joint = jnp.concatenate([*decisions, mask.astype(dtype)], axis=-1)
    logits = linear(joint, jnp.concatenate([*weights.kernels, weights.biases]))
    return (logits + weights.bias.astype(logits.dtype)).astype(dtype)
