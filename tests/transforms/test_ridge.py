import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model

from crossmodal_jax.transforms import ridge


def data(n=60, dx=8, dy=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    x = 5 + rng.normal(size=(n, dx)) @ rng.normal(size=(dx, dx))
    y = x @ rng.normal(size=(dx, dy)) + rng.normal(size=(n, dy)) - 3
    return x.astype(dtype), y.astype(dtype)


def fit_apply(x, y, l2):
    t = ridge(l2=l2)
    return t.apply(t.fit(x, y), x)


@pytest.mark.parametrize("n", [60, 5])  # more and fewer rows than columns
def test_predictions_match_scikit_learn(n, x64):
    x, y = data(n)
    l2s = np.array([1e-6, 1e-2, 1.0, 30.0])
    got = jax.jit(jax.vmap(fit_apply, in_axes=(None, None, 0)))(x, y, l2s)
    for l2, predictions in zip(l2s, got, strict=True):
        alpha = l2 * x.var(0).mean() * n
        oracle = sklearn.linear_model.Ridge(alpha=alpha).fit(x, y)
        np.testing.assert_allclose(predictions, oracle.predict(x), rtol=1e-8, atol=1e-8)


def test_no_penalty_is_least_squares(x64):
    x, y = data()
    oracle = sklearn.linear_model.LinearRegression().fit(x, y)
    np.testing.assert_allclose(fit_apply(x, y, 0.0), oracle.predict(x), rtol=1e-8, atol=1e-8)


def test_infinite_penalty_predicts_the_mean(x64):
    x, y = data()
    got = fit_apply(x, y, 1e12)
    np.testing.assert_allclose(got, np.broadcast_to(y.mean(0), y.shape), atol=1e-8)


def test_penalty_does_not_depend_on_units():
    x, y = data(dtype=np.float32)
    jitted = jax.jit(fit_apply)
    # A power of two scales every number exactly.
    np.testing.assert_allclose(jitted(1024 * x, y, 0.1), jitted(x, y, 0.1), rtol=1e-5)


def test_fit_is_differentiable_in_the_penalty(x64):
    x, y = data()
    loss = lambda l2: jnp.mean(jnp.square(fit_apply(x[:40], y[:40], l2) - y[:40]))
    step = 1e-5
    difference = (loss(0.1 + step) - loss(0.1 - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(loss)(0.1), difference, rtol=1e-6)
