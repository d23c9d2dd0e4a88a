"""Gradient reversal, which makes of a classifier's loss one against it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike


def gradient_reversal(
    x: Float[ArrayLike, "*shape"], *, weight: Float[ArrayLike, ""] | float = 1.0
) -> Float[Array, "*shape"]:
    """The identity, whose derivative is −weight times that of the identity.

    What comes after it learns to minimise a loss, what comes before it to maximise it. Between
    features and the classifier of their domain or modality it is the domain-adversarial loss
    (DANN): `softmax_cross_entropy(head(gradient_reversal(features)), domains)`. Add that to the
    loss of the task, and minimise the sum with one optimiser.

    Args:
      x: Features, any shape [*shape].
      weight: Factor λ of the reversed derivative; may be traced, so that it can grow from 0 over
        the training as in the paper. It has no derivative itself.

    Returns:
      Exactly x, shape [*shape]. Derivatives of forward mode are reversed too.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax import losses
      >>> x, domains = jnp.array([[1.0], [-1.0]]), jnp.array([0, 1])
      >>> def loss(scale, head):
      ...     features = losses.gradient_reversal(scale * x, weight=0.5)
      ...     return losses.softmax_cross_entropy(features @ head, domains).sum()
      >>> encoder, head = jax.grad(loss, (0, 1))(1.0, jnp.array([[1.0, -1.0]]))
      >>> print(encoder.round(2), head.round(2))  # without the reversal the encoder had −0.48
      0.24 [[-0.24  0.24]]

    References:
      Ganin and Lempitsky, `Unsupervised Domain Adaptation by Backpropagation
      <https://arxiv.org/abs/1409.7495>`_, 2015.
    """
    x = jnp.asarray(x)
    return _reversed(x, jnp.asarray(weight, x.dtype))


@jax.custom_jvp
def _reversed(x: Array, weight: Array) -> Array:
    del weight  # of the derivative only
    return x


@_reversed.defjvp
def _reversed_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    x, weight = primals
    return x, -weight * tangents[0]
