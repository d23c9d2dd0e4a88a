"""The product of modalities that already live in one space."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import stack_inputs


def product(
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch d"]:
    """Product of the modalities that are present, entry by entry.

    z = Π_{i present} xᵢ. It is large where all modalities are, and changes its sign with any.

    Absence: an absent modality is a factor of ones. Zeros where nothing is present, for an empty
    product of ones would look like data.

    Cost: no weights, M d FLOPs a sample, and one copy of the inputs.

    Choose it for codes of one space whose agreement counts, or as the core of a model with maps
    of its own before and after; `mlb` has those maps. Products of many modalities are very
    large or very small: take a sum then, or `late_product` for probabilities.

    Args:
      xs: One array per modality, shapes [*batch, d] with one width d; the batch axes broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The product, shape [*batch, d], in the dtype of the inputs, multiplied in float32 at least.

    Raises:
      ValueError: If the widths differ, or the shapes of the modalities and `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> xs = [jnp.array([1.0, 3.0]), jnp.array([3.0, 5.0])]
      >>> print(product(xs))
      [ 3. 15.]
      >>> print(product(xs, present=jnp.array([True, False])))
      [1. 3.]
    """
    stacked, mask = stack_inputs("product", xs, present)
    factors = jnp.where(mask[..., None], stacked, 1)
    wide = factors.astype(np.promote_types(factors.dtype, np.float32))
    z = jnp.prod(wide, axis=-2).astype(stacked.dtype)
    return numerics.zero_absent(z, jnp.any(mask, axis=-1))
