"""Modality dropout: a model that has seen every pattern of absence."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from crossmodal_jax._typing import ArrayLike


def modality_dropout(
    key: PRNGKeyArray,
    present: Bool[ArrayLike, "*batch m"],
    *,
    rate: Float[ArrayLike, ""] | float,
) -> Bool[Array, "*batch m"]:
    """Drops each present modality with probability `rate`, but never the last one.

    Each modality draws u ~ U[0, 1) and stays if u ≥ rate or if its u is the largest among those
    present. So with n present, one of them is dropped with probability rate − rateⁿ / n, and where
    all would go, the one that stays is uniform. `rate` 0 drops nothing, `rate` 1 leaves one.

    Args:
      key: Random key of this step.
      present: True where the sample has the modality, shape [*batch, m].
      rate: Probability in [0, 1]; may be traced, so that a sweep can choose it.

    Returns:
      The presence after dropout, shape [*batch, m]: a subset of `present`, with at least one
      modality wherever `present` has one.

    Raises:
      ValueError: If `rate` is a Python number outside [0, 1].

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> present = jnp.array([[True, True, True], [False, True, False], [False, False, False]])
      >>> print(modality_dropout(jax.random.key(0), present, rate=1.0).sum(axis=-1))
      [1 1 0]

    References:
      Neverova et al., `ModDrop: adaptive multi-modal gesture recognition
      <https://arxiv.org/abs/1501.00102>`_, 2015. There a sample may lose all its modalities.
    """
    if isinstance(rate, int | float) and not 0 <= rate <= 1:
        raise ValueError(f"modality_dropout: `rate` must lie in [0, 1], got {rate}.")
    present = jnp.asarray(present)
    draws = jnp.where(present, jax.random.uniform(key, present.shape, jnp.float32), -1.0)
    last = draws == jnp.max(draws, axis=-1, keepdims=True)
    return present & ((draws >= jnp.asarray(rate, jnp.float32)) | last)
