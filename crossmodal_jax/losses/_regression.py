"""Errors of numbers and directions, per sample, with masks for samples and for single entries."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._clean import clean_rows, magnitude


def squared_error(
    predictions: Float[ArrayLike, "*batch d"],
    targets: Float[ArrayLike, "*batch d"],
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
    entries: Bool[ArrayLike, "*batch d"] | None = None,
) -> Float[Array, "*batch"]:
    """Mean of the squared errors over the features of a sample, 1/d Σₖ (pₖ − tₖ)².

    Args:
      predictions: Predictions p, shape [*batch, d].
      targets: Targets t, shape [*batch, d].
      where: Samples to keep, shape [*batch].
      entries: Entries to keep, shape [*batch, d]; the mean is over these.

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped or without any entry.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(squared_error(jnp.array([[1.0, 3.0]]), jnp.zeros((1, 2))))
      [5.]
    """
    error, kept = _errors("squared_error", predictions, targets, where, entries)
    return numerics.masked_mean(error**2, kept, axis=-1)


def absolute_error(
    predictions: Float[ArrayLike, "*batch d"],
    targets: Float[ArrayLike, "*batch d"],
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
    entries: Bool[ArrayLike, "*batch d"] | None = None,
) -> Float[Array, "*batch"]:
    """Mean of the absolute errors over the features of a sample, 1/d Σₖ |pₖ − tₖ|.

    The gradient of an error of 0 is 0.

    Args:
      predictions: As for `squared_error`, shape [*batch, d].
      targets: As for `squared_error`, shape [*batch, d].
      where: Samples to keep, shape [*batch].
      entries: Entries to keep, shape [*batch, d]; the mean is over these.

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped or without any entry.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(absolute_error(jnp.array([[1.0, -3.0]]), jnp.zeros((1, 2))))
      [2.]
    """
    error, kept = _errors("absolute_error", predictions, targets, where, entries)
    return numerics.masked_mean(magnitude(error), kept, axis=-1)


def huber_loss(
    predictions: Float[ArrayLike, "*batch d"],
    targets: Float[ArrayLike, "*batch d"],
    *,
    delta: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "*batch"] | None = None,
    entries: Bool[ArrayLike, "*batch d"] | None = None,
) -> Float[Array, "*batch"]:
    """Mean of Huber's errors over the features of a sample.

    An error e costs ½ e² up to |e| = δ and δ (|e| − ½ δ) beyond, where its slope stays δ.

    Args:
      predictions: As for `squared_error`, shape [*batch, d].
      targets: As for `squared_error`, shape [*batch, d].
      delta: δ > 0; may be traced.
      where: Samples to keep, shape [*batch].
      entries: Entries to keep, shape [*batch, d]; the mean is over these.

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped or without any entry.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(huber_loss(jnp.array([[1.0], [3.0]]), jnp.zeros((2, 1))))
      [0.5 2.5]

    References:
      Huber, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35, 1964.
    """
    error, kept = _errors("huber_loss", predictions, targets, where, entries)
    size, delta = magnitude(error), jnp.asarray(delta, error.dtype)
    inner = jnp.minimum(size, delta)
    return numerics.masked_mean(inner**2 / 2 + delta * (size - inner), kept, axis=-1)


def cosine_loss(
    predictions: Float[ArrayLike, "*batch d"],
    targets: Float[ArrayLike, "*batch d"],
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """One minus the cosine of prediction and target, 1 − ⟨p, t⟩ / (‖p‖ ‖t‖), per sample.

    A zero vector has no direction: its loss is 1 and its gradient 0.

    Args:
      predictions: Vectors p, shape [*batch, d].
      targets: Vectors t, shape [*batch, d].
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, between 0 and 2, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(cosine_loss(jnp.eye(2), jnp.array([[3.0, 0.0], [1.0, 0.0]])))
      [0. 1.]
    """
    arrays = {"predictions": predictions, "targets": targets}
    (predictions, targets), kept = clean_rows("cosine_loss", arrays, where)
    directions = numerics.normalize(predictions) * numerics.normalize(targets)
    return jnp.where(jnp.any(kept, axis=-1), 1 - jnp.sum(directions, axis=-1), 0)


def _errors(
    name: str,
    predictions: ArrayLike,
    targets: ArrayLike,
    where: ArrayLike | None,
    entries: ArrayLike | None,
) -> tuple[Float[Array, "*batch d"], Bool[Array, "*batch d"]]:
    arrays = {"predictions": predictions, "targets": targets}
    (predictions, targets), kept = clean_rows(name, arrays, where, entries=entries)
    return predictions - targets, kept
