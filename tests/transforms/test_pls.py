import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.cross_decomposition
import sklearn.linear_model

from crossmodal_jax.transforms import pls, pls_scores


def data(n=40, dx=6, dy=4):
    rng = np.random.default_rng(0)
    x = 2 + rng.normal(size=(n, dx)) * np.linspace(2, 0.5, dx)
    return x, x @ rng.normal(size=(dx, dy)) + rng.normal(size=(n, dy)) - 3


@pytest.mark.parametrize("n", [40, 5])
def test_scores_match_scikit_learn(n, x64):
    x, y = data(n)
    params = jax.jit(pls(dim=3).fit)(x, y)
    oracle = sklearn.cross_decomposition.PLSSVD(n_components=3, scale=False).fit(x, y)
    scores = [np.asarray(pls_scores(params, z, view=v)) for v, z in enumerate((x, y))]
    expected = oracle.transform(x, y)
    signs = np.sign(np.sum(scores[0] * expected[0], axis=0))
    for got, wanted in zip(scores, expected, strict=True):
        np.testing.assert_allclose(got * signs, wanted, rtol=1e-8, atol=1e-8)
    products = scores[0].T @ scores[1] / n
    np.testing.assert_allclose(products, np.diag(params.covariances), atol=1e-10)
    kernel = np.asarray(params.kernels[0])
    assert (kernel[np.abs(kernel).argmax(0), np.arange(3)] > 0).all()


def test_predictions_are_regressions_on_the_scores(x64):
    x, y = data()
    t = pls(dim=2)
    params = t.fit(x, y)
    for view, (a, b, predict) in enumerate([(x, y, t.apply), (y, x, t.inverse)]):
        scores = np.asarray(pls_scores(params, a, view=view))
        oracle = sklearn.linear_model.LinearRegression().fit(scores, b)
        np.testing.assert_allclose(predict(params, a), oracle.predict(scores), rtol=1e-8, atol=1e-8)


def test_all_directions_are_least_squares(x64):
    x, y = data(dx=4)
    t = pls(dim=4)
    oracle = sklearn.linear_model.LinearRegression().fit(x, y)
    np.testing.assert_allclose(t.apply(t.fit(x, y), x), oracle.predict(x), rtol=1e-8, atol=1e-8)


def test_planted_directions_are_recovered(x64):
    rng = np.random.default_rng(1)
    u, v = (np.linalg.qr(rng.normal(size=(d, 2)))[0] for d in (6, 5))
    latent = np.linalg.qr(rng.normal(size=(40, 3)) - 0)[0]
    latent = np.linalg.qr(latent - latent.mean(0))[0][:, :2] * [5, 3]
    x, y = 1 + latent @ u.T, latent @ v.T - 2
    t = pls(dim=2)
    params = t.fit(x, y)
    np.testing.assert_allclose(params.covariances, np.array([25, 9]) / 40, rtol=1e-10)
    np.testing.assert_allclose(np.abs(params.kernels[0].T @ u), np.eye(2), atol=1e-10)
    np.testing.assert_allclose(np.abs(params.kernels[1].T @ v), np.eye(2), atol=1e-10)
    np.testing.assert_allclose(t.apply(params, x), y, atol=1e-10)
    np.testing.assert_allclose(t.inverse(params, y), x, atol=1e-10)


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.value_and_grad, argnums=(0, 1))
def loss(x, y, dim):
    t = pls(dim=dim)
    return jnp.sum(jnp.sin(t.apply(t.fit(x, y), x[:5] ** 2)))


def test_gradients_through_the_fit_match_differences(x64):
    x, y = data()
    rng = np.random.default_rng(3)
    dx, dy = 1e-5 * rng.normal(size=x.shape), 1e-5 * rng.normal(size=y.shape)
    gx, gy = loss(x, y, 2)[1]
    difference = (loss(x + dx, y + dy, 2)[0] - loss(x - dx, y - dy, 2)[0]) / 2
    np.testing.assert_allclose(np.sum(gx * dx) + np.sum(gy * dy), difference, rtol=1e-6)


def test_bad_arguments_are_named(no_jaxtyping):
    x, y = data()
    with pytest.raises(ValueError, match=r"pls: `dim` .* got dim=5 for dx=6 and dy=4"):
        pls(dim=5).fit(x, y)
    params = pls(dim=1).fit(x, y)
    with pytest.raises(ValueError, match=r"`view` must be 0 \(x\) or 1 \(y\), got 2"):
        pls_scores(params, x, view=2)
    with pytest.raises(ValueError, match=r"pls_scores: `x` must be \[\*batch, 4\]"):
        pls_scores(params, x, view=1)
