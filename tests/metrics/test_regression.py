import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from crossmodal_jax.metrics import r2_score

AVERAGES = {"uniform": "uniform_average", "variance": "variance_weighted"}
r2 = jax.jit(r2_score, static_argnames="average")


def data(n=50, p=4, mean=0.0):
    rng = np.random.default_rng(0)
    targets = mean + rng.normal(size=(n, p)) * np.arange(1, p + 1)
    return (targets + rng.normal(size=(n, p))).astype(np.float32), targets.astype(np.float32)


@pytest.mark.parametrize("average", AVERAGES)
def test_score_matches_scikit_learn(average):
    predictions, targets = data()
    where = np.arange(50) % 4 != 0
    poisoned = [np.where(where[:, None], z, np.float32(np.nan)) for z in (predictions, targets)]
    for got, rows in [
        (r2(predictions, targets, average=average), slice(None)),
        (r2(*poisoned, where=where, average=average), where),
    ]:
        oracle = sklearn.metrics.r2_score(
            targets[rows].astype(float),
            predictions[rows].astype(float),
            multioutput=AVERAGES[average],
        )
        np.testing.assert_allclose(got, oracle, rtol=1e-5)


@pytest.mark.parametrize("average", AVERAGES)
def test_constant_outputs_match_scikit_learn(average, strict):
    predictions, targets = data()
    # Column 1 is predicted exactly, column 2 is not. The oracle gets a constant whose mean is
    # exact; that of 0.1 is rounded, which must not count as variance.
    targets[:, 1:3] = predictions[:, 1] = 0.5
    oracle = sklearn.metrics.r2_score(targets, predictions, multioutput=AVERAGES[average])
    targets[:, 1:3] = predictions[:, 1] = 0.1
    np.testing.assert_allclose(r2(predictions, targets, average=average), oracle, rtol=1e-5)
    constant = r2(predictions[:, 1:3], targets[:, 1:3], average=average)
    np.testing.assert_allclose(constant, 0.5, rtol=1e-6)


def test_mean_scores_zero_and_truth_one():
    _, targets = data(mean=100)
    assert r2(targets, targets) == 1
    mean = np.broadcast_to(targets.mean(0), targets.shape)
    np.testing.assert_allclose(r2(mean, targets), 0, atol=1e-5)


def test_shift_and_scale_of_both_change_nothing():
    predictions, targets = data()
    moved = r2(predictions * 8 + 3, targets * 8 + 3)
    np.testing.assert_allclose(moved, r2(predictions, targets), rtol=1e-5)


def test_one_output_and_vmap():
    predictions, targets = data()
    np.testing.assert_allclose(
        r2(predictions[:, 0], targets[:, 0]), r2(predictions[:, :1], targets[:, :1])
    )
    mapped = jax.vmap(r2_score, in_axes=1)(predictions, targets)
    np.testing.assert_allclose(jnp.mean(mapped), r2(predictions, targets), rtol=1e-6)


def test_gradient_ignores_dropped_rows():
    predictions, targets = data()
    where = np.arange(50) < 30
    gradient = jax.jit(jax.grad(lambda z: r2_score(z, targets, where=where)))
    clean = gradient(predictions)
    poisoned = gradient(np.where(where[:, None], predictions, np.float32(np.inf)))
    np.testing.assert_array_equal(poisoned, clean)
    np.testing.assert_array_equal(clean[30:], 0)


def test_nothing_kept_is_finite(strict):
    predictions, targets = data()
    for average in AVERAGES:
        assert np.isfinite(r2(predictions, targets, where=np.zeros(50, bool), average=average))


def test_bad_arguments_are_named(no_jaxtyping):
    with pytest.raises(ValueError, match=r"predictions.shape=\(3, 2\) and targets.shape=\(3,\)"):
        r2_score(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(ValueError, match="did you mean 'uniform'"):
        r2_score(np.zeros(3), np.zeros(3), average="unifrom")
