"""Whitening of one side, and correlation alignment of two."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from crossmodal_jax.transforms import coral, pca, whiten

KINDS = ["zca", "pca", "cholesky"]


def data(n=40, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return seed + 2 + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))


def regular(x, l2):
    s = np.cov(x.T, ddof=0)
    return s + l2 * np.trace(s) / len(s) * np.eye(len(s))


def kernel_oracle(s, kind):
    if kind == "zca":
        return np.linalg.inv(scipy.linalg.sqrtm(s))
    if kind == "cholesky":
        return np.linalg.inv(np.linalg.cholesky(s)).T
    values, vectors = np.linalg.eigh(s)
    values, vectors = values[::-1], vectors[:, ::-1]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(len(s))])
    return vectors / np.sqrt(values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "l2"), [(40, 0.0), (40, 0.3), (5, 0.1)])
def test_whitening_matches_numpy(kind, n, l2, x64):
    x = data(n)
    t = whiten(kind=kind, l2=l2)
    params = jax.jit(t.fit)(x)
    expected = kernel_oracle(regular(x, l2), kind)
    np.testing.assert_allclose(params.kernel, expected, rtol=1e-8, atol=1e-8)
    z = np.asarray(t.apply(params, x))
    np.testing.assert_allclose(z, (x - x.mean(0)) @ expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(t.inverse(params, z), x, rtol=1e-8, atol=1e-8)
    if l2 == 0:
        np.testing.assert_allclose(z.T @ z / n, np.eye(5), atol=1e-10)


def test_pca_whitening_scales_principal_components(x64):
    x = data()
    t, components = whiten(kind="pca", l2=0.0), pca(dim=5)
    fitted = components.fit(x)
    expected = components.apply(fitted, x) / np.sqrt(fitted.variances)
    np.testing.assert_allclose(t.apply(t.fit(x), x), expected, rtol=1e-8, atol=1e-8)


@functools.partial(jax.jit, static_argnums=1)
@jax.value_and_grad
def whitened_loss(x, kind):
    params = whiten(kind=kind, l2=0.1).fit(x)
    z = whiten().apply(params, x)
    return jnp.sum(jnp.sin(z[:3])) + jnp.sum(jnp.sin(params.inverse_kernel))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_whitening_match_differences(kind, x64):
    sides = [data()]
    if kind != "pca":  # the variances of the second side are all the same
        sides.append(np.linalg.qr(data() - data().mean(0))[0])
    direction = 1e-5 * np.random.default_rng(1).normal(size=(40, 5))
    for x in sides:
        difference = (
            whitened_loss(x + direction, kind)[0] - whitened_loss(x - direction, kind)[0]
        ) / 2
        got = np.sum(whitened_loss(x, kind)[1] * direction)
        np.testing.assert_allclose(got, difference, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", [np.ones((6, 5)), np.zeros((6, 5)), np.eye(6, 5)])
def test_gradients_of_degenerate_data_are_finite(kind, x, strict):
    assert np.isfinite(whitened_loss(x.astype(np.float32), kind)[1]).all()


def test_unknown_kind_is_named():
    with pytest.raises(ValueError, match="did you mean 'cholesky'"):
        whiten(kind="choleski")


@pytest.mark.parametrize("l2", [0.0, 0.2])
def test_coral_whitens_and_colours(l2, x64):
    x, y = data(), data(17, seed=1)
    t = coral(l2=l2)
    params = jax.jit(t.fit)(x, y)
    roots = [scipy.linalg.sqrtm(regular(z, l2)) for z in (x, y)]
    np.testing.assert_allclose(params.kernel, np.linalg.solve(*roots), rtol=1e-8, atol=1e-8)
    got = np.asarray(t.apply(params, x))
    np.testing.assert_allclose(got.mean(0), y.mean(0), atol=1e-10)
    np.testing.assert_allclose(t.inverse(params, got), x, rtol=1e-8, atol=1e-8)
    if l2 == 0:
        np.testing.assert_allclose(np.cov(got.T, ddof=0), np.cov(y.T, ddof=0), atol=1e-8)


def test_coral_masks_each_side_by_itself(x64):
    x, y = data(), data(17, seed=1)
    keep_x, keep_y = np.arange(40) % 3 > 0, np.arange(17) < 12
    fit = coral().fit
    expected = fit(x[keep_x], y[keep_y])
    x[~keep_x], y[~keep_y] = np.nan, np.inf
    for got, wanted in zip(fit(x, y, keep_x, where_y=keep_y), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-10)


def test_coral_does_not_depend_on_the_order_of_rows(x64):
    x, y = data(), data(seed=1)
    fit = coral().fit
    for got, wanted in zip(fit(x, y[::-1]), fit(x, y), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


def test_bad_sides_are_named(no_jaxtyping):
    with pytest.raises(ValueError, match=r"coral: .*of one width, got x.shape=\(40, 5\) and y.sh"):
        coral().fit(data(), data(d=4))
    with pytest.raises(ValueError, match="coral: `fit` must have both clouds"):
        coral().fit(data())
