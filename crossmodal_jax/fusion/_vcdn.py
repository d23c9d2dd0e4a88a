"""View correlation discovery: a network over all combinations of the modalities' decisions."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._factors import outer
from crossmodal_jax.fusion._inputs import check_dims, check_positive, clean_inputs, linear

# Cells of the tensor of class probabilities beyond which the network is refused.
_MAX_CELLS = 2**16
# Slope of the leaky ramp for negative numbers.
_SLOPE = 0.25


class VcdnWeights(NamedTuple):
    """Weights of `vcdn`.

    Attributes:
      hidden_kernel: From the tensor of class probabilities, last modality fastest, to the hidden
        units, shape [Π k_m, hidden].
      hidden_bias: Bias of the hidden units, shape [hidden].
      kernel: From the hidden units to the result, shape [hidden, dim].
      bias: Bias of the result, shape [dim].
    """

    hidden_kernel: Float[Array, "cells hidden"]
    hidden_bias: Float[Array, "hidden"]
    kernel: Float[Array, "hidden dim"]
    bias: Float[Array, "dim"]


def init_vcdn(key: Array, dims: Sequence[int], dim: int, *, hidden: int = 64) -> VcdnWeights:
    """Initial weights of `vcdn`, scaled for modalities that are certain.

    Decisions that are all certain leave one cell of the tensor, of value 1. The first kernel
    therefore has entries of variance 1, and the second of variance 2 / (1.0625 hidden), the
    inverse of the mean square of the leaky ramp on normal numbers: the logits then have variance
    1, and less where the modalities are less certain.

    Args:
      key: Random key.
      dims: Numbers of classes k₁ … k_M of the modalities.
      dim: Width of the result, the number of classes.
      hidden: Number of hidden units.

    Returns:
      Weights in float32: kernels of shapes [Π k_m, hidden] and [hidden, dim], biases of shapes
      [hidden] and [dim].

    Raises:
      ValueError: If there is no modality, a width is not positive, or the tensor has more than
        65,536 cells.

    Examples:
      >>> import jax
      >>> weights = init_vcdn(jax.random.key(0), (3, 3), 3, hidden=8)
      >>> print(weights.hidden_kernel.shape, weights.kernel.shape)
      (9, 8) (8, 3)
    """
    check_dims("vcdn", dims, dim)
    check_positive("init_vcdn", hidden=hidden)
    cells = math.prod(dims)
    if cells > _MAX_CELLS:
        raise ValueError(
            f"init_vcdn: the product of `dims` must be at most {_MAX_CELLS}, got {cells} for "
            f"dims={tuple(dims)}; use stacking, whose weights grow with their sum."
        )
    hidden_key, key = jax.random.split(key)
    gain = (2 / (1 + _SLOPE**2)) ** 0.5
    return VcdnWeights(
        hidden_kernel=jax.random.normal(hidden_key, (cells, hidden), jnp.float32),
        hidden_bias=jnp.zeros(hidden, jnp.float32),
        kernel=jax.random.normal(key, (hidden, dim), jnp.float32) * (gain * hidden**-0.5),
        bias=jnp.zeros(dim, jnp.float32),
    )


def vcdn(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: VcdnWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """View correlation discovery network (VCDN): an outer product of decisions, then a network.

    t = vec(p₁ ⊗ … ⊗ p_M) with pᵢ = softmax(xᵢ) has a cell for every combination of classes that
    the modalities may decide for. z = Wφ(Vt + a) + c with the leaky ramp φ(h) = max(h, h/4).
    The paper multiplies predicted class probabilities; the authors' code, which takes a logistic
    function of each score instead, makes cells that do not add up to 1.

    Absence: An absent modality decides for all k classes alike, pᵢ = 1/k, so that t stays a
    probability distribution over its cells. Where nothing is present t is uniform.

    Cost: (Π kᵢ + 1) hidden + (hidden + 1) dim weights; 2 (Π kᵢ + dim) hidden FLOPs and
    Π kᵢ + hidden numbers of temporaries a sample.

    Choose it when the errors of the modalities have a pattern, as "if one says A and another B,
    it is C", and the classes and modalities are few.

    Args:
      xs: Class scores (logits) of each modality, shapes [*batch, k_m]; the batch axes broadcast.
      weights: Kernels V [Π k_m, hidden] and W [hidden, dim], biases a [hidden] and c [dim], as
        made by `init_vcdn`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      Logits of the classes, shape [*batch, dim], in the dtype of the inputs.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_vcdn(jax.random.key(0), (3, 3), 4)
      >>> print(vcdn([jnp.ones((2, 3)), jnp.ones((2, 3))], weights).shape)
      (2, 4)

    References:
      Wang et al., `MOGONET Integrates Multi-Omics Data Using Graph Convolutional Networks
      Allowing Patient Classification and Biomarker Identification
      <https://doi.org/10.1038/s41467-021-23774-w>`_, Nature Communications 12, 3445, 2021.
    """
    xs, _ = clean_inputs("vcdn", xs, present)
    classes = tuple(x.shape[-1] for x in xs)
    if weights.hidden_kernel.shape[0] != math.prod(classes):
        raise ValueError(
            "vcdn: `weights.hidden_kernel` must have one row per combination of classes, got "
            f"{weights.hidden_kernel.shape[0]} rows for {classes} classes; "
            f"make the weights with init_vcdn(key, {classes}, dim)."
        )
    dtype = xs[0].dtype
    # The softmax of an absent modality, whose scores are zeros, is uniform.
    wide = np.promote_types(dtype, np.float32)
    decisions = [jax.nn.softmax(x.astype(wide), axis=-1) for x in xs]
    cells = outer(decisions).astype(dtype)
    hidden = linear(cells, weights.hidden_kernel)
    hidden = jax.nn.leaky_relu(hidden + weights.hidden_bias.astype(wide), _SLOPE)
    logits = linear(hidden.astype(dtype), weights.kernel)
    return (logits + weights.bias.astype(wide)).astype(dtype)
