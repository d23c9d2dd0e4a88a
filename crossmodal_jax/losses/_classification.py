"""Losses of class predictions."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike


def softmax_cross_entropy(
    logits: Float[ArrayLike, "*batch c"],
    labels: Int[ArrayLike, "*batch"],
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy of a softmax against class labels, one value per sample.

    The loss of a sample with logits z and label y is log Σₖ exp(zₖ) − z_y. A kept label outside
    0 … c − 1 gives NaN: unlike an index it never wraps around.

    Args:
      logits: Unnormalised log-probabilities of the c classes, shape [*batch, c].
      labels: Right classes, shape [*batch].
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `labels` or `where` does not have the batch shape of `logits`.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(softmax_cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3])))
      [1.3862944 1.3862944]
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if logits.ndim < 1 or labels.shape != logits.shape[:-1]:
        raise ValueError(
            "softmax_cross_entropy: `labels` must have one class per row of `logits`, got "
            f"logits.shape={logits.shape} and labels.shape={labels.shape}; "
            "for one-hot labels pass labels.argmax(axis=-1)."
        )
    keep = check_where("softmax_cross_entropy", where, labels.shape)
    logits = numerics.zero_absent(logits, keep)
    logits = logits.astype(np.promote_types(logits.dtype, np.float32))
    # Both in the default type: a narrow type of labels may not count all classes.
    is_label = labels.astype(int)[..., None] == jnp.arange(logits.shape[-1])
    log_sum = numerics.masked_logsumexp(logits, jnp.ones_like(is_label))
    loss = log_sum - numerics.masked_sum(logits, is_label, axis=-1)
    loss = jnp.where(jnp.any(is_label, axis=-1), loss, jnp.nan)
    return jnp.where(keep, loss, 0)
