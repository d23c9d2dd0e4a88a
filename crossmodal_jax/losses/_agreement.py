"""Agreement of two predictions of one sample, whatever is right."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._clean import clean_rows


def symmetric_divergence(
    x: Float[ArrayLike, "*batch c"],
    y: Float[ArrayLike, "*batch c"],
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Kullback–Leibler divergence of two softmaxes in both directions, one value per sample.

    With p = softmax(x) and q = softmax(y) it is
    KL(p ‖ q) + KL(q ‖ p) = Σₖ (pₖ − qₖ)(log pₖ − log qₖ), the sum and not its half. It aligns what
    two modalities say of one sample, of classes or of features that are taken as such, without
    negatives. For a temperature divide both by it; for one teacher apply `jax.lax.stop_gradient`
    to its side.

    Args:
      x: Logits of the first modality, shape [*batch, c].
      y: Logits of the second modality, shape [*batch, c].
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(symmetric_divergence(jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])).round(4))
      [0.9242]

    References:
      Zhang et al., `Deep Mutual Learning <https://arxiv.org/abs/1706.00384>`_, 2017.
    """
    (x, y), kept = clean_rows("symmetric_divergence", {"x": x, "y": y}, where)
    log_p, log_q = jax.nn.log_softmax(x), jax.nn.log_softmax(y)
    terms = (jnp.exp(log_p) - jnp.exp(log_q)) * (log_p - log_q)
    return numerics.masked_sum(terms, kept, axis=-1)
