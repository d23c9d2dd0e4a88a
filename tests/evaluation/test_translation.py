import jax
import numpy as np
import pytest
import sklearn.metrics

from crossmodal_jax.evaluation import evaluate_translation

KEY = jax.random.key(0)


def data():
    rng = np.random.default_rng(0)
    targets = rng.random((80, 4, 4)) * np.arange(16).reshape(4, 4)  # entry 0, 0 never varies
    return (targets + rng.normal(size=targets.shape)).astype(np.float32), targets.astype(np.float32)


def test_scores_match_scikit_learn():
    predictions, targets = data()
    got = evaluate_translation(predictions, targets, key=KEY)
    flat = [z.reshape(80, -1).astype(float) for z in (targets, predictions)]
    r2 = sklearn.metrics.r2_score(*flat, multioutput="variance_weighted")
    np.testing.assert_allclose(got["r2"], r2, rtol=1e-5)
    varying = [z[:, 1:] for z in flat]
    np.testing.assert_allclose(got["r2_uniform"], sklearn.metrics.r2_score(*varying), rtol=1e-4)
    error = sklearn.metrics.mean_squared_error(*flat)
    np.testing.assert_allclose(got["mean_squared_error"], error, rtol=1e-6)
    assert got["r2_low"] < got["r2"] < got["r2_high"] < 1


def test_truth_scores_one_and_mean_zero():
    _, targets = data()
    assert evaluate_translation(targets, targets, key=KEY)["r2_low"] == 1
    mean = np.broadcast_to(targets.mean(0), targets.shape)
    np.testing.assert_allclose(evaluate_translation(mean, targets, key=KEY)["r2"], 0, atol=1e-5)


def test_bad_input_is_named(no_jaxtyping):
    predictions, targets = data()
    with pytest.raises(ValueError, match=r"predictions.shape=\(79, 4, 4\)"):
        evaluate_translation(predictions[1:], targets, key=KEY)
    with pytest.raises(ValueError, match="must differ between samples, got 80 equal ones"):
        evaluate_translation(predictions, 0 * targets, key=KEY)
    with pytest.raises(ValueError, match="`predictions` must be finite"):
        evaluate_translation(predictions * np.float32(np.nan), targets, key=KEY)
