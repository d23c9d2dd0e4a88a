import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model

from crossmodal_jax import numerics
from crossmodal_jax.transforms import ridge, ridge_leave_one_out, ridge_path


def data(n=20, dx=6, dy=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    x = 5 + rng.normal(size=(n, dx)) @ rng.normal(size=(dx, dx))
    y = x @ rng.normal(size=(dx, dy)) + rng.normal(size=(n, dy)) - 3
    return x.astype(dtype), y.astype(dtype)


leave_one_out = jax.jit(lambda x, y, l2, where=None: ridge_leave_one_out(x, y, l2=l2, where=where))
path = jax.jit(lambda x, y, l2s: ridge_path(numerics.moments((x, y)), l2s))
fits = jax.jit(jax.vmap(lambda x, y, l2: ridge(l2=l2).fit(x, y), in_axes=(None, None, 0)))
L2S = np.array([1e-4, 1e-2, 1.0, 100.0])


def refit(x, y, alpha):
    """Predicts every row by a regression on the others, solved anew each time."""
    predicted = np.zeros_like(y)
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        mean, offset = x[others].mean(0), y[others].mean(0)
        xc, yc = x[others] - mean, y[others] - offset
        w = np.linalg.solve(xc.T @ xc + alpha * np.eye(x.shape[1]), xc.T @ yc)
        predicted[i] = offset + (x[i] - mean) @ w
    return predicted


@pytest.mark.parametrize("n", [20, 5])  # more and fewer rows than columns
@pytest.mark.parametrize("l2", [1e-3, 1.0])
def test_leave_one_out_equals_refitting(n, l2, x64):
    x, y = data(n)
    alpha = l2 * x.var(0).mean() * n
    expected = refit(x, y, alpha)
    np.testing.assert_allclose(leave_one_out(x, y, l2), expected, rtol=1e-8, atol=1e-8)
    without = sklearn.linear_model.Ridge(alpha=alpha).fit(x[1:], y[1:])
    np.testing.assert_allclose(without.predict(x[:1]), expected[:1], rtol=1e-8)


@pytest.mark.slow
def test_leave_one_out_ignores_dropped_rows(x64):
    x, y = data()
    keep = np.arange(20) % 4 != 1
    alone = leave_one_out(x[keep], y[keep], 0.1)
    x[~keep], y[~keep] = np.nan, np.inf
    got = leave_one_out(x, y, 0.1, keep)
    np.testing.assert_allclose(np.asarray(got)[keep], alone, rtol=1e-10)
    np.testing.assert_array_equal(np.asarray(got)[~keep], 0)
    loss = lambda x, y: jnp.sum(jnp.sin(leave_one_out(x, y, 0.1, keep)))
    for gradient in jax.grad(loss, argnums=(0, 1))(x, y):
        assert np.isfinite(gradient).all()
        assert (np.asarray(gradient)[~keep] == 0).all()


def test_leave_one_out_chooses_the_penalty_by_gradient(x64):
    x, y = data()
    loss = jax.jit(jax.value_and_grad(lambda l2: jnp.mean((leave_one_out(x, y, l2) - y) ** 2)))
    difference = (loss(0.1 + 1e-5)[0] - loss(0.1 - 1e-5)[0]) / 2e-5
    np.testing.assert_allclose(loss(0.1)[1], difference, rtol=1e-6)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_leave_one_out_of_few_rows_is_finite(kept, strict):
    x, y = data(dtype=np.float32)
    keep = np.arange(20) < kept
    got = np.asarray(leave_one_out(x, y, 1.0, keep))
    assert np.isfinite(got).all()
    assert (got[keep] == 0).all() == (kept < 2)
    if kept == 2:  # one row alone predicts itself
        np.testing.assert_allclose(got[:2], y[1::-1], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("n", [20, 5])
def test_path_equals_separate_fits(n, x64):
    x, y = data(n)
    for got, expected in zip(path(x, y, L2S), fits(x, y, L2S), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-8)
    oracle = sklearn.linear_model.Ridge(alpha=x.var(0).mean() * n).fit(x, y)
    np.testing.assert_allclose(path(x, y, L2S).kernel[2], oracle.coef_.T, rtol=1e-8, atol=1e-10)


def test_path_without_penalty_is_least_squares(x64):
    x, y = data()
    oracle = sklearn.linear_model.LinearRegression().fit(x, y)
    got = path(x, y, np.array([0.0])).kernel[0]
    np.testing.assert_allclose(got, oracle.coef_.T, rtol=1e-8, atol=1e-8)


@pytest.mark.slow
def test_gradients_of_the_path_are_those_of_separate_fits(x64):
    x, y = data(5)  # the eigenvalue 0 is repeated
    losses = [
        jax.grad(
            lambda x, y, l2s, f=f: sum(jnp.sum(jnp.sin(p)) for p in f(x, y, l2s)), argnums=(0, 1, 2)
        )(x, y, L2S[1:])
        for f in (path, fits)
    ]
    for got, expected in zip(*losses, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("x", [np.zeros((4, 3)), np.ones((4, 3)), np.eye(4, 3)])
def test_path_of_degenerate_data_is_finite(x, strict):
    x = x.astype(np.float32)
    y, l2s = np.ones((4, 2), np.float32), np.array([0.0, 1.0], np.float32)
    assert all(np.isfinite(leaf).all() for leaf in path(x, y, l2s))


def test_bad_arguments_are_named(no_jaxtyping):
    x, y = data()
    with pytest.raises(ValueError, match=r"`l2s` must be a vector \[m\], got l2s.shape=\(\)"):
        ridge_path(numerics.moments((x, y)), 0.1)
    with pytest.raises(ValueError, match="ridge_path: `solve` needs joint moments of 2"):
        ridge_path(numerics.moments((x,)), np.ones(2))
    with pytest.raises(ValueError, match=r"ridge_leave_one_out: .*same number of rows"):
        ridge_leave_one_out(x, y[1:])
