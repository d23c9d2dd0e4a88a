"""What a translation and its way back lose."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._regression import absolute_error


def cycle_loss(
    x: Float[ArrayLike, "*batch dx"],
    *,
    forth: Callable[[Array], Array],
    back: Callable[[Array], Array],
    error: Callable[..., Array] = absolute_error,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Cycle consistency: the error of x after a translation and its way back, one per sample.

    It is error(back(forth(x)), x) and needs no pairs. The loss of both directions is
    `cycle_loss(x, forth=f, back=g)` and `cycle_loss(y, forth=g, back=f)`, of sets that need not
    have the same number of rows.

    Args:
      x: Samples of one modality, shape [*batch, dx].
      forth: The translation, from [*batch, dx] to the other modality. It sees zeros in the place
        of dropped samples, and must treat each sample by itself.
      back: The way back, to [*batch, dx].
      error: An error of predictions and targets with one value per sample, such as
        `absolute_error`, that of the paper, or `squared_error`.
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `back` does not return the shape of x, or `where` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, -2.0], [0.5, 0.0]])
      >>> print(cycle_loss(x, forth=lambda x: 3 * x, back=lambda y: y / 2))
      [0.75  0.125]

    References:
      Zhu et al., `Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks
      <https://arxiv.org/abs/1703.10593>`_, 2017, Eq. 2.
    """
    x = jnp.asarray(x)
    keep = check_where("cycle_loss", where, x.shape[:-1])
    x = numerics.zero_absent(x, keep)
    again = back(forth(x))
    if again.shape != x.shape:
        raise ValueError(
            f"cycle_loss: `back` must return the shape {x.shape} of `x`, got {again.shape}; it is "
            "to undo `forth`."
        )
    return error(again, x, where=keep)
