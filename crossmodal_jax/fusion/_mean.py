"""The mean of modalities that already live in one space."""

from collections.abc import Sequence

from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import stack_inputs


def mean(
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch d"]:
    """Mean of the modalities that are present.

    z = Σᵢ mᵢ xᵢ / Σⱼ mⱼ, where mᵢ is 1 if modality i is present.

    Absence: an absent modality leaves the mean to the others. Zeros where nothing is present.

    Cost: no weights, 2 M d FLOPs a sample, and nothing larger than the inputs.

    Choose it for codes that live in one space already, as those of contrastively trained
    encoders do, and where modalities are often absent: it never has to be learned anew.

    Args:
      xs: One array per modality, shapes [*batch, d] with one width d; the batch axes broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The mean, shape [*batch, d], in the dtype of the inputs, accumulated in float32 at least;
      zeros where nothing is present.

    Raises:
      ValueError: If the widths differ, or the shapes of the modalities and `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> xs = [jnp.array([1.0, 3.0]), jnp.array([3.0, 5.0])]
      >>> print(mean(xs))
      [2. 4.]
      >>> print(mean(xs, present=jnp.array([True, False])))
      [1. 3.]
    """
    stacked, mask = stack_inputs("mean", xs, present)
    return numerics.masked_mean(stacked, mask[..., None], axis=-2)
