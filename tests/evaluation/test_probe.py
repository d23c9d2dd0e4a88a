import jax
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics

from crossmodal_jax.evaluation import linear_probe

KEY = jax.random.key(0)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 300, p=[0.5, 0.3, 0.15, 0.05])
    z = rng.normal(size=(4, 6))[labels] + rng.normal(size=(300, 6))
    return z.astype(np.float32), labels


def test_scores_match_scikit_learn(data):
    z, labels = data
    got = linear_probe(z[:200], labels[:200], z[200:], labels[200:], num_classes=4, key=KEY, l2=0.1)
    alpha = 0.1 * z[:200].var(0).mean() * 200
    oracle = sklearn.linear_model.Ridge(alpha=alpha).fit(z[:200], np.eye(4)[labels[:200]])
    predicted = oracle.predict(z[200:]).argmax(1)
    accuracy = sklearn.metrics.accuracy_score(labels[200:], predicted)
    balanced = sklearn.metrics.balanced_accuracy_score(labels[200:], predicted)
    np.testing.assert_allclose(got["accuracy"], accuracy, rtol=1e-6)
    np.testing.assert_allclose(got["macro_recall"], balanced, rtol=1e-6)
    assert got["accuracy_low"] < accuracy < got["accuracy_high"]
    assert got["majority_accuracy"] == (labels[200:] == 0).mean()


def test_a_representation_of_nothing_scores_the_majority(data):
    z, labels = data
    got = linear_probe(0 * z, labels, 0 * z, labels, num_classes=4, key=KEY, num_resamples=20)
    np.testing.assert_allclose(got["accuracy"], got["majority_accuracy"], rtol=1e-6)
    np.testing.assert_allclose(got["macro_recall"], 0.25, rtol=1e-6)


def test_bad_input_is_named(data, no_jaxtyping):
    z, labels = data
    with pytest.raises(ValueError, match=r"`test_labels` must be from 0 to 2, got \[3"):
        linear_probe(z, np.zeros(300, int), z, labels, num_classes=3, key=KEY)
    with pytest.raises(ValueError, match=r"train_z.shape=\(300, 6\) and train_labels.shape=\(299,"):
        linear_probe(z, labels[1:], z, labels, num_classes=4, key=KEY)
    with pytest.raises(ValueError, match="`test_z` must be finite"):
        linear_probe(z, labels, z * np.float32(np.nan), labels, num_classes=4, key=KEY)
