"""Feature-wise linear modulation: the first modality, scaled and shifted by the others."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_kernels,
    clean_inputs,
    condition,
    linear,
    scaled_normal,
)

# The standard deviation of γ and of β when all conditioners are present.
_INITIAL_SPREAD = 0.5


class FilmWeights(NamedTuple):
    """Weights of `film`.

    Attributes:
      kernel: Linear map of the first modality, shape [d_1, dim].
      condition_kernels: From each further modality to its parts of γ − 1 and β, in this order,
        shapes [d_m, 2, dim].
      condition_biases: Biases of these maps, shape [m − 1, 2, dim].
    """

    kernel: Float[Array, "d_1 dim"]
    condition_kernels: tuple[Float[Array, "d_m 2 dim"], ...]
    condition_biases: Float[Array, "m_less_1 2 dim"]


def init_film(key: Array, dims: Sequence[int], dim: int) -> FilmWeights:
    """Initial weights of `film`: a modest modulation around the identity.

    The entries of P have variance 1/d₁ and those of Aᵢ variance 1/(4 (M − 1) dᵢ), so that for
    inputs of variance 1 the entries of γ − 1 and β have variance ¼ and the output 1½.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities, the modulated one first.
      dim: Width of the result.

    Returns:
      Weights in float32: kernel [d_1, dim], condition kernels of shapes [d_m, 2, dim] and
      condition biases [m − 1, 2, dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_film(jax.random.key(0), (3, 5, 2), 4)
      >>> print([kernel.shape for kernel in weights.condition_kernels])
      [(5, 2, 4), (2, 2, 4)]
    """
    check_dims("film", dims, dim)
    first, *others = dims
    keys = jax.random.split(key, len(dims))
    gain = _INITIAL_SPREAD * max(len(others), 1) ** -0.5
    return FilmWeights(
        kernel=scaled_normal(keys[0], (first, dim)),
        condition_kernels=tuple(
            scaled_normal(keys[m], (d, 2, dim), gain) for m, d in enumerate(others, start=1)
        ),
        condition_biases=jnp.zeros((len(others), 2, dim), jnp.float32),
    )


def film(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: FilmWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Feature-wise linear modulation (FiLM) of the first modality by all others.

    z = γ ⊙ Px₁ + β with (γ − 1, β) = Σ_{i≥2} mᵢ (Aᵢxᵢ + bᵢ), where mᵢ is 1 if modality i is
    present: a linear map of [m₂x₂; …; m_M x_M; m₂; …; m_M] without a bias of its own. With
    γ = 1, β = 0 and P = I it is the identity. The paper modulates feature maps by one
    conditioner; here several conditioners add up, and P brings x₁ to the width of the result.

    Absence: a conditioner that is absent adds nothing. With none of them, or a single modality,
    γ = 1 and β = 0, so z = Px₁; without x₁ z = β; zeros where nothing is present.

    Cost: with D = Σ_{i≥2} d_i, (d₁ + 2D + 2m − 2) dim weights, twice as many operations and
    3 dim numbers in float32 a sample.

    Choose it where one modality carries the content and the others say how to read it, as a
    question does with a picture. The order matters: the result needs x₁ more than the others.

    Args:
      xs: One array per modality, shapes [*batch, d_m], the modulated one first; the batch axes
        broadcast.
      weights: Kernel P [d_1, dim], condition kernels Aᵢ [d_m, 2, dim] and biases b
        [m − 1, 2, dim], as made by `init_film`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The modulated representation, shape [*batch, dim], in the dtype of the inputs. Products add
      up in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> scale_and_shift = jnp.array([[[1.0, 1.0], [0.0, -1.0]]])
      >>> weights = FilmWeights(jnp.eye(2), (scale_and_shift,), jnp.zeros((1, 2, 2)))
      >>> xs = [jnp.array([1.0, 2.0]), jnp.array([3.0])]
      >>> print(film(xs, weights))
      [4. 5.]
      >>> print(film(xs, weights, present=jnp.array([True, False])))
      [1. 2.]

    References:
      Perez et al., `FiLM: Visual Reasoning with a General Conditioning Layer
      <https://arxiv.org/abs/1709.07871>`_, 2018.
    """
    xs, mask = clean_inputs("film", xs, present)
    check_kernels("film", xs, (weights.kernel, *weights.condition_kernels))
    width = 2 * weights.kernel.shape[-1]
    kernels = [kernel.reshape(-1, width) for kernel in weights.condition_kernels]
    biases = weights.condition_biases.reshape(len(kernels), width)
    scale, shift = jnp.split(condition(xs, mask, kernels, biases), 2, axis=-1)
    return ((1 + scale) * linear(xs[0], weights.kernel) + shift).astype(xs[0].dtype)
