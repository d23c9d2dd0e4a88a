import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.transforms import cca, reduced_rank, ridge


def data(n=40, dx=6, dy=4):
    rng = np.random.default_rng(0)
    x = 2 + rng.normal(size=(n, dx)) * np.linspace(2, 0.5, dx)
    return x, x @ rng.normal(size=(dx, dy)) + rng.normal(size=(n, dy)) - 3


@pytest.mark.parametrize("n", [40, 5])
@pytest.mark.parametrize("l2", [1e-2, 1.0])
def test_coefficients_are_the_truncated_fit_of_augmented_rows(n, l2, x64):
    x, y = data(n)
    xc, yc = x - x.mean(0), y - y.mean(0)
    # Ridge is least squares on √(λn) I more rows whose targets are 0.
    rows = np.vstack([xc, np.sqrt(l2 * xc.var(0).mean() * n) * np.eye(6)])
    w = np.linalg.lstsq(rows, np.vstack([yc, np.zeros((6, 4))]), rcond=None)[0]
    v = np.linalg.svd(rows @ w)[2][:2].T
    params = jax.jit(reduced_rank(dim=2, l2=l2).fit)(x, y)
    got = np.asarray(params.kernel) @ np.asarray(params.loadings).T
    np.testing.assert_allclose(got, w @ v @ v.T, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(params.loadings.T @ params.loadings, np.eye(2), atol=1e-10)
    largest = np.abs(params.loadings).argmax(0)
    assert (np.asarray(params.loadings)[largest, [0, 1]] > 0).all()
    predicted = reduced_rank(dim=2).apply(params, x)
    np.testing.assert_allclose(predicted, y.mean(0) + xc @ got, rtol=1e-8, atol=1e-8)


def test_no_other_coefficients_of_the_rank_fit_better(x64):
    x, y = data()
    t = reduced_rank(dim=2, l2=0.0)
    error = np.sum((y - np.asarray(t.apply(t.fit(x, y), x))) ** 2)
    other = cca(dim=2, l2=0.0)
    assert np.sum((y - np.asarray(other.apply(other.fit(x, y), x))) ** 2) > error
    params, rng = t.fit(x, y), np.random.default_rng(1)
    a, b = np.asarray(params.kernel), np.asarray(params.loadings)
    xc, yc = x - x.mean(0), y - y.mean(0)
    for _ in range(50):
        beside = (a + 1e-3 * rng.normal(size=a.shape)) @ (b + 1e-3 * rng.normal(size=b.shape)).T
        assert np.sum((yc - xc @ beside) ** 2) >= error


def test_all_dimensions_predict_as_ridge_does(x64):
    for x, y in (data(), data(dx=3)):
        k = min(x.shape[1], y.shape[1])
        full, regression = reduced_rank(dim=k, l2=0.3), ridge(l2=0.3)
        expected = regression.apply(regression.fit(x, y), x)
        np.testing.assert_allclose(full.apply(full.fit(x, y), x), expected, rtol=1e-9, atol=1e-9)


def test_planted_coefficients_are_recovered(x64):
    x, _ = data()
    rng = np.random.default_rng(2)
    w = rng.normal(size=(6, 2)) @ rng.normal(size=(2, 5))
    t = reduced_rank(dim=2, l2=0.0)
    params = t.fit(x, x @ w + 1)
    np.testing.assert_allclose(params.kernel @ params.loadings.T, w, atol=1e-10)


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.value_and_grad, argnums=(0, 1))
def loss(x, y, dim):
    t = reduced_rank(dim=dim, l2=0.1)
    return jnp.sum(jnp.sin(t.apply(t.fit(x, y), x[:5] ** 2)))


def test_gradients_through_the_fit_match_differences(x64):
    x, y = data()
    rng = np.random.default_rng(3)
    dx, dy = 1e-5 * rng.normal(size=x.shape), 1e-5 * rng.normal(size=y.shape)
    gx, gy = loss(x, y, 2)[1]
    difference = (loss(x + dx, y + dy, 2)[0] - loss(x - dx, y - dy, 2)[0]) / 2
    np.testing.assert_allclose(np.sum(gx * dx) + np.sum(gy * dy), difference, rtol=1e-6)


def test_dim_out_of_range_is_named(no_jaxtyping):
    with pytest.raises(ValueError, match=r"reduced_rank: `dim` .* got dim=5 for dx=6 and dy=4"):
        reduced_rank(dim=5).fit(*data())
