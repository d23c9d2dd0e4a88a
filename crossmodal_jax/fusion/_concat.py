"""Concatenation that tells "absent" from "zero"."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import clean_inputs


def concat(
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Concatenation of the modalities, zeros for absent ones, followed by the presence itself.

    z = [m₁x₁; …; m_M x_M; m₁; …; m_M], where mᵢ is 1 if modality i is present. The indicators
    stand there also when nothing is absent, so that the width never depends on the data.

    Absence: an absent modality is zeros and its indicator 0, which a zero vector that is present
    does not have. All zeros where nothing is present.

    Cost: no weights, no products, one copy of the inputs. The layer that reads the result pays:
    its kernel has Σ dᵢ + M rows.

    Choose it as the baseline that every other operator has to beat, where modalities are seldom
    absent; a linear layer on it can weigh them, but not let one change how another is read.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The concatenation, shape [*batch, dim] with dim = Σ d_m + m, in the dtype of the inputs.

    Raises:
      ValueError: If the shapes of the modalities and `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> xs = [jnp.array([2.0, 3.0]), jnp.array([jnp.nan])]
      >>> print(concat(xs, present=jnp.array([True, False])))
      [2. 3. 0. 1. 0.]
    """
    xs, mask = clean_inputs("concat", xs, present)
    return jnp.concatenate([*xs, mask.astype(xs[0].dtype)], axis=-1)
