"""How much a linear classifier reads from a representation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from crossmodal_jax._checks import check_finite
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.metrics import bootstrap_interval, hits, macro_recall
from crossmodal_jax.transforms import ridge


def linear_probe(
    train_z: Float[ArrayLike, "n d"],
    train_labels: Int[ArrayLike, "n"],
    test_z: Float[ArrayLike, "t d"],
    test_labels: Int[ArrayLike, "t"],
    *,
    num_classes: int,
    key: Array,
    l2: float = 1e-2,
    num_resamples: int = 1000,
) -> dict[str, float]:
    """Accuracy of ridge regression onto the classes, fitted on the training part.

    The targets are one-hot; the class with the highest prediction is chosen, and ties count by
    expectation.

    Args:
      train_z: Representation of the training samples, shape [n, d].
      train_labels: Their classes, shape [n], from 0 to num_classes − 1.
      test_z: Representation of the test samples, shape [t, d].
      test_labels: Their classes, shape [t].
      num_classes: Number of classes.
      key: Random key of the bootstrap.
      l2: Relative penalty of `transforms.ridge`.
      num_resamples: Resamples of the bootstrap over test samples.

    Returns:
      Floats by name: `accuracy`, `accuracy_low` and `accuracy_high` (95 % bootstrap interval),
      `macro_recall` (mean over the classes of the test part), and `majority_accuracy` (of
      always choosing the most frequent class of the training part).

    Raises:
      ValueError: If shapes do not fit, a number is NaN or infinite, or a label is out of range.

    Examples:
      >>> import jax, numpy as np
      >>> z = np.array([[-2.0], [-1.0], [1.0], [2.0]], np.float32)
      >>> labels = np.array([0, 0, 1, 1])
      >>> scores = linear_probe(z, labels, z, labels, num_classes=2, key=jax.random.key(0))
      >>> scores["accuracy"], scores["majority_accuracy"]
      (1.0, 0.5)
    """
    for part, z, labels in (("train", train_z, train_labels), ("test", test_z, test_labels)):
        _check_part(part, z, labels, num_classes)
    check_finite("linear_probe", train_z=train_z, test_z=test_z)
    train_labels, test_labels = (np.asarray(x, np.int32) for x in (train_labels, test_labels))
    right, recall = _probe(
        train_z, train_labels, test_z, test_labels, l2=l2, num_classes=num_classes
    )
    low, high = _interval(key, right, num_resamples)
    majority = np.bincount(train_labels, minlength=num_classes).argmax()
    return {
        "accuracy": float(np.mean(np.asarray(right, np.float64))),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        "macro_recall": float(recall),
        "majority_accuracy": float(np.mean(test_labels == majority)),
    }


@functools.partial(jax.jit, static_argnames="num_classes")
def _probe(
    train_z: Array,
    train_labels: Array,
    test_z: Array,
    test_labels: Array,
    *,
    l2: Array | float,
    num_classes: int,
) -> tuple[Array, Array]:
    classifier = ridge(l2=l2)
    one_hot = jax.nn.one_hot(train_labels, num_classes, dtype=train_z.dtype)
    scores = classifier.apply(classifier.fit(train_z, one_hot), test_z)
    return hits(scores, test_labels), macro_recall(scores, test_labels, num_classes=num_classes)


@functools.partial(jax.jit, static_argnums=2)
def _interval(key: Array, values: Array, num_resamples: int) -> tuple[Array, Array]:
    return bootstrap_interval(key, values, num_resamples=num_resamples)


def _check_part(part: str, z: ArrayLike, labels: ArrayLike, num_classes: int) -> None:
    z, labels = jnp.asarray(z), np.asarray(labels)
    if z.ndim != 2 or labels.shape != z.shape[:1] or 0 in labels.shape:
        raise ValueError(
            f"linear_probe: `{part}_z` must be [n, d] with one label per row, got {part}_z.shape="
            f"{z.shape} and {part}_labels.shape={labels.shape}."
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        raise ValueError(
            f"linear_probe: `{part}_labels` must be from 0 to {num_classes - 1}, got "
            f"{labels[wrong[:5]].tolist()} in rows {wrong[:5].tolist()}; leave those samples out."
        )
