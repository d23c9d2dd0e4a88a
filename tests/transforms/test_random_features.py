import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.kernel_approximation

from crossmodal_jax.transforms import (
    kernel_ridge,
    linear_kernel,
    nystrom,
    random_features,
    rbf_kernel,
)

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow


def data(n=40, dx=4, dy=2, dtype=np.float64):
    rng = np.random.default_rng(0)
    x = 4 + rng.normal(size=(n, dx)) * np.linspace(3, 1, dx)
    y = np.sin(x[:, :dy]) + 0.1 * rng.normal(size=(n, dy)) - 2
    return x.astype(dtype), y.astype(dtype)


def predictions(t, x, y, queries, where=None):
    return t.apply(t.fit(x, y, where), queries)


def test_all_rows_as_landmarks_are_kernel_ridge(x64):
    x, y = data()
    kernel = rbf_kernel(gamma=2.0)
    expected = predictions(kernel_ridge(kernel=kernel, l2=1e-2), x, y, x + 0.1)
    t = nystrom(key=jax.random.key(0), dim=40, kernel=kernel, l2=1e-2)
    got = jax.jit(predictions, static_argnums=0)(t, x, y, x + 0.1)
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-8)


def test_as_many_landmarks_as_columns_are_enough_for_a_linear_kernel(x64):
    x, y = data()
    expected = predictions(kernel_ridge(kernel=linear_kernel(), l2=1e-2), x, y, x + 0.1)
    t = nystrom(key=jax.random.key(0), dim=6, kernel=linear_kernel(), l2=1e-2)
    np.testing.assert_allclose(predictions(t, x, y, x + 0.1), expected, rtol=1e-6, atol=1e-6)


def test_landmarks_are_kept_rows_and_differ(x64):
    x, y = data()
    keep = np.arange(40) % 4 == 1
    fit = jax.jit(nystrom(key=jax.random.key(3), dim=10).fit)
    params = fit(np.where(keep[:, None], x, np.nan), y, keep)
    rows = np.asarray(params.landmarks) * params.scale + params.mean
    distances = np.abs(rows[:, None] - x[keep][None]).max(-1)
    assert sorted(distances.argmin(1)) == list(range(10))
    np.testing.assert_allclose(distances.min(1), 0, atol=1e-10)


@pytest.mark.parametrize("gamma", [0.3, 2.0])
def test_features_have_the_kernel_as_mean(gamma):
    x, y = data(dtype=np.float32)
    dim = 4000
    params = random_features(key=jax.random.key(1), dim=dim, gamma=gamma).fit(x, y)
    u = (x - np.asarray(params.mean)) / np.asarray(params.scale)
    features = (2 / dim) ** 0.5 * np.cos(u @ np.asarray(params.frequencies) + params.phases)
    kernel = np.exp(-gamma * np.sum((u[:, None] - u[None]) ** 2, -1) / 4)
    # An entry is a mean of `dim` products of variance below 1/2; four of its standard errors.
    assert np.abs(features @ features.T - kernel).max() < 4 * (0.5 / dim) ** 0.5 * 1.2


def test_random_features_match_scikit_learn_on_its_frequencies(x64):
    x, y = data()
    t = random_features(key=jax.random.key(1), dim=30, l2=1e-2)
    params = jax.jit(t.fit)(x, y)
    u = (x - x.mean(0)) / np.sqrt(x.var(0).mean())
    sampler = sklearn.kernel_approximation.RBFSampler(n_components=30).fit(u)
    sampler.random_weights_ = np.asarray(params.frequencies)
    sampler.random_offset_ = np.asarray(params.phases)
    features = sampler.transform(u)
    centred = features - features.mean(0)
    penalty = 1e-2 * np.trace(centred.T @ centred)
    weights = np.linalg.solve(
        centred.T @ centred + penalty * np.eye(30), centred.T @ (y - y.mean(0))
    )
    np.testing.assert_allclose(t.apply(params, x), centred @ weights + y.mean(0), rtol=1e-8)


def test_more_features_come_nearer_to_the_kernel():
    x, y = data(dtype=np.float32)
    exact = predictions(kernel_ridge(l2=1e-2), x, y, x)

    def error(dim):
        keys = jax.random.split(jax.random.key(2), 8)
        t = lambda key: random_features(key=key, dim=dim, l2=1e-2)
        found = jax.jit(jax.vmap(lambda key: predictions(t(key), x, y, x)))(keys)
        return float(jnp.sqrt(jnp.mean(jnp.square(found - exact))))

    # The error falls as the root of their number.
    assert error(1600) < 0.4 * error(100)


def test_bad_arguments_are_named():
    x, y = data()
    with pytest.raises(ValueError, match="nystrom: `dim` must be at least 1, got 0"):
        nystrom(key=jax.random.key(0), dim=0)
    with pytest.raises(ValueError, match="random_features: `dim` must be at least 1, got -1"):
        random_features(key=jax.random.key(0), dim=-1)
    with pytest.raises(ValueError, match="at most the number of rows, got dim=41 for 40 rows"):
        nystrom(key=jax.random.key(0), dim=41).fit(x, y)
