"""Scores of class predictions."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import masked_mean, masked_sum, safe_divide


def hits(
    predictions: Float[ArrayLike, "n c"] | Int[ArrayLike, "n"],
    labels: Int[ArrayLike, "n"],
    *,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, "n"]:
    """Whether each sample is classified rightly, in expectation over ties.

    A sample whose label shares the highest of its scores with others counts 1 / (number of
    classes that share it), so constant scores give chance and not the share of class 0. A
    sample with a NaN score, or a label that is no class, is never a hit.

    Args:
      predictions: Scores of the c classes (logits or probabilities), shape [n, c]; or
        predicted classes, shape [n].
      labels: Right classes, shape [n].
      where: Samples to keep, shape [n].

    Returns:
      Numbers between 0 and 1, shape [n]; 0 where dropped.

    Raises:
      ValueError: If the shapes do not fit.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(hits(jnp.array([[2.0, 1.0], [1.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0, 0])))
      [1.  0.5 0. ]
    """
    predictions, labels = jnp.asarray(predictions), jnp.asarray(labels)
    if predictions.ndim not in (1, 2) or predictions.shape[:1] != labels.shape:
        raise ValueError(
            "hits: `predictions` must be scores [n, c] or classes [n] of the n labels, got "
            f"predictions.shape={predictions.shape} and labels.shape={labels.shape}."
        )
    keep = check_where("hits", where, labels.shape)
    dtype = jnp.result_type(float)
    if predictions.ndim == 1:
        return (keep & (predictions.astype(int) == labels.astype(int))).astype(dtype)
    best = predictions == jnp.max(predictions, axis=1, keepdims=True, initial=-jnp.inf)
    is_label = jnp.arange(predictions.shape[1]) == labels.astype(int)[:, None]
    # A NaN makes the maximum NaN, which equals nothing: no entry is best.
    shared = jnp.sum(best, axis=1).astype(dtype)
    right = jnp.any(best & is_label, axis=1).astype(dtype)
    return jnp.where(keep, safe_divide(right, shared), 0)


def accuracy(
    predictions: Float[ArrayLike, "n c"] | Int[ArrayLike, "n"],
    labels: Int[ArrayLike, "n"],
    *,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, ""]:
    """Share of the samples that are classified rightly, in expectation over ties.

    Args:
      predictions: Scores of the c classes, shape [n, c]; or predicted classes, shape [n].
      labels: Right classes, shape [n].
      where: Samples to keep, shape [n].

    Returns:
      The mean of `hits` over the kept samples, a scalar; 0 if none is kept.

    Raises:
      ValueError: If the shapes do not fit.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(accuracy(jnp.array([1, 0, 2, 2]), jnp.array([1, 1, 2, 2])))
      0.75
    """
    score = hits(predictions, labels, where=where)
    return masked_mean(score, check_where("accuracy", where, score.shape))


def macro_recall(
    predictions: Float[ArrayLike, "n c"] | Int[ArrayLike, "n"],
    labels: Int[ArrayLike, "n"],
    *,
    num_classes: int,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, ""]:
    """Mean over the classes of the share of their samples that are classified rightly.

    Also called balanced accuracy: a rare class counts as much as a frequent one.

    Args:
      predictions: Scores of the c classes, shape [n, c]; or predicted classes, shape [n].
      labels: Right classes, shape [n].
      num_classes: Number of classes c.
      where: Samples to keep, shape [n].

    Returns:
      The mean over those classes that have kept samples, a scalar; 0 if there are none.

    Raises:
      ValueError: If the shapes do not fit.

    Examples:
      >>> import jax.numpy as jnp
      >>> labels = jnp.array([0, 0, 0, 1])
      >>> print(macro_recall(jnp.array([0, 0, 0, 0]), labels, num_classes=2))
      0.5
    """
    score = hits(predictions, labels, where=where)
    keep = check_where("macro_recall", where, score.shape)
    classes = jnp.asarray(labels).astype(int)[:, None]
    member = (classes == jnp.arange(num_classes)) & keep[:, None]
    size = jnp.sum(member, axis=0).astype(score.dtype)
    recall = safe_divide(masked_sum(score[:, None] * jnp.ones_like(size), member, axis=0), size)
    return masked_mean(recall, size > 0)
