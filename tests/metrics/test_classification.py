import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from crossmodal_jax.metrics import accuracy, hits, macro_recall

NUM_CLASSES = 4


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(60, NUM_CLASSES)).astype(np.float32)
    # Class 3 has no sample: it has no recall.
    return logits, rng.integers(0, NUM_CLASSES - 1, 60).astype(np.int32)


def scores(predictions, labels, where=None):
    return (
        accuracy(predictions, labels, where=where),
        macro_recall(predictions, labels, num_classes=NUM_CLASSES, where=where),
    )


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_scores_match_scikit_learn(data):
    logits, labels = data
    where = np.arange(60) % 3 != 0
    poisoned = np.where(where[:, None], logits, np.float32(np.nan)), np.where(where, labels, -7)
    predicted = logits.argmax(1).astype(np.int32)
    jitted = jax.jit(scores)
    for got, rows in [
        (jitted(logits, labels), slice(None)),
        (jitted(predicted, labels), slice(None)),
        (jitted(*poisoned, where), where),
    ]:
        true, guess = labels[rows], predicted[rows]
        np.testing.assert_allclose(got[0], sklearn.metrics.accuracy_score(true, guess), rtol=1e-6)
        balanced = sklearn.metrics.balanced_accuracy_score(true, guess)
        np.testing.assert_allclose(got[1], balanced, rtol=1e-6)


def test_ties_score_their_expectation(data):
    _, labels = data
    # One score for all classes: chance, not the share of class 0.
    for got in jax.jit(scores)(np.zeros((60, NUM_CLASSES), np.float32), labels):
        np.testing.assert_allclose(got, 1 / NUM_CLASSES, rtol=1e-6)
    shared = jnp.array([[5.0, 5.0, 5.0, 1.0]] * 4)
    np.testing.assert_allclose(hits(shared, jnp.arange(4)), [1 / 3, 1 / 3, 1 / 3, 0], rtol=1e-6)


def test_nan_and_foreign_labels_are_misses():
    logits = jnp.array([[jnp.nan, 0.0], [0.0, jnp.nan], [1.0, 0.0], [0.0, 1.0], [jnp.inf, 1.0]])
    np.testing.assert_array_equal(hits(logits, jnp.array([0, 0, -1, 2, 0])), [0, 0, 0, 0, 1])


def test_nothing_kept_is_zero(data, strict):
    nothing = np.zeros(60, bool)
    assert [float(s) for s in jax.jit(scores)(*data, nothing)] == [0, 0]


def test_shuffling_classes_and_samples_changes_nothing(data):
    logits, labels = data
    rng = np.random.default_rng(1)
    rows, classes = rng.permutation(60), rng.permutation(NUM_CLASSES)
    renamed = np.argsort(classes)[labels][rows].astype(np.int32)
    moved = scores(logits[rows][:, classes], renamed)
    np.testing.assert_allclose(moved, scores(logits, labels), rtol=1e-6)


def test_vmap(data):
    logits, labels = data
    got = jax.jit(jax.vmap(accuracy, in_axes=(0, None)))(np.stack([logits, -logits]), labels)
    np.testing.assert_allclose(got, [accuracy(logits, labels), accuracy(-logits, labels)])


def test_bad_shapes_are_named(no_jaxtyping):
    with pytest.raises(ValueError, match=r"predictions.shape=\(3, 2\) and labels.shape=\(4,\)"):
        accuracy(np.zeros((3, 2)), np.zeros(4, int))
    with pytest.raises(ValueError, match=r"`where` must have shape \(3,\)"):
        macro_recall(np.zeros(3, int), np.zeros(3, int), num_classes=2, where=np.ones(2, bool))
