"""Gradients through the fits of ridge and CCA, also where correlations repeat."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.transforms import canonical_variates, cca, ridge

TRANSFORMS = {
    "ridge": ridge(l2=0.1),
    **{f"cca {k}": cca(dim=k, l2=0.1) for k in (2, 3)},
}


def data(dx=5, dy=3):
    rng = np.random.default_rng(0)
    x = 2 + rng.normal(size=(20, dx)) * np.linspace(2, 0.5, dx)
    return x, x @ rng.normal(size=(dx, dy)) + rng.normal(size=(20, dy)) - 3


def repeated(correlations, dx=5):
    """White sides with the given canonical correlations."""
    rng = np.random.default_rng(1)
    k = len(correlations)
    basis = np.linalg.qr(np.hstack([np.ones((20, 1)), rng.normal(size=(20, dx + k))]))[0][:, 1:]
    c = np.asarray(correlations)
    y = basis[:, :k] * c + basis[:, dx:] * np.sqrt(1 - c**2)
    mix = [np.linalg.qr(rng.normal(size=(d, d)))[0] for d in (dx, k)]
    return 1 + basis[:, :dx] @ mix[0], y @ mix[1]


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.value_and_grad, argnums=(0, 1))
def loss(x, y, name, where=None):
    """A function of predictions for rows of the fit and for others, and of the residual."""
    t = TRANSFORMS[name]
    params = t.fit(x, y, where)
    rows = jnp.asarray(np.random.default_rng(5).normal(size=(4, x.shape[1])), x.dtype)
    predicted = jnp.sin(t.apply(params, rows)).sum() + jnp.square(t.apply(params, x[:3])).sum()
    return predicted + jnp.sin(params.residual).sum()


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.value_and_grad, argnums=(0, 1))
def variates_loss(x, y, dim):
    """A function of every single direction and correlation, whatever their signs."""
    params = cca(dim=dim, l2=0.1).fit(x, y)
    products = canonical_variates(params, x) * canonical_variates(params, y, view=1)
    return jnp.sum(jnp.sin(products) * jnp.arange(1.0, dim + 1)) + jnp.sum(params.correlations**3)


def assert_derivatives(value_and_grad, x, y, rtol=1e-6):
    rng = np.random.default_rng(3)
    dx, dy = rng.normal(size=x.shape), rng.normal(size=y.shape)
    step = 1e-5
    ahead, behind = (value_and_grad(x + s * dx, y + s * dy)[0] for s in (step, -step))
    gx, gy = value_and_grad(x, y)[1]
    got = np.sum(gx * dx) + np.sum(gy * dy)
    np.testing.assert_allclose(got, (ahead - behind) / (2 * step), rtol=rtol, atol=1e-8)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_gradients_of_predictions_match_differences(name, x64):
    assert_derivatives(lambda x, y: loss(x, y, name), *data())
    if name == "cca 2":  # the other width is the smaller one
        assert_derivatives(lambda x, y: loss(x, y, name), *reversed(data()))


def test_gradients_of_single_directions_match_differences(x64):
    assert_derivatives(lambda x, y: variates_loss(x, y, 3), *data())


@pytest.mark.parametrize("correlations", [(0.8, 0.8, 0.4), (0.7, 0.7, 0.7)])
def test_gradients_at_repeated_correlations(correlations, x64):
    x, y = repeated(correlations)
    got = cca(dim=3, l2=0.1).fit(x, y).correlations
    np.testing.assert_allclose(got, np.asarray(correlations) / 1.1, atol=1e-12)
    # What all directions predict together is what ridge predicts.
    value, gradients = loss(x, y, "cca 3")
    expected, expected_gradients = loss(x, y, "ridge")
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for got, wanted in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-8)
    if correlations[2] < correlations[1]:
        # Two of the three are the whole repeated group.
        assert_derivatives(lambda x, y: loss(x, y, "cca 2"), x, y)
    for gradient in (*loss(x, y, "cca 2")[1], *variates_loss(x, y, 2)[1]):
        assert np.isfinite(gradient).all()


def test_all_directions_have_the_gradient_of_ridge(x64):
    for x, y in (data(), data()[::-1]):
        for got, wanted in zip(loss(x, y, "cca 3")[1], loss(x, y, "ridge")[1], strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["ridge", "cca 2"])
@pytest.mark.parametrize("case", ["constant", "repeated", "one row", "nothing kept"])
def test_gradients_of_degenerate_data_are_finite(name, case, strict):
    x, y = (z.astype(np.float32) for z in data())
    keep = np.arange(20) < {"one row": 1, "nothing kept": 0}.get(case, 15)
    if case == "constant":
        x[:], y[:, 1:] = 3, 0
    if case == "repeated":
        x[:, 1:], y[:, 1:] = x[:, :1], y[:, :1]
    gradients = loss(x, y, name, keep)[1]
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("name", ["ridge", "cca 2"])
def test_dropped_rows_have_no_gradient(name):
    x, y = (z.astype(np.float32) for z in data())
    keep = np.arange(20) < 15
    x[15:], y[15:] = np.nan, np.inf
    for gradient in loss(x, y, name, keep)[1]:
        assert np.isfinite(gradient).all()
        assert (np.asarray(gradient)[15:] == 0).all()
        assert (np.asarray(gradient)[:15] != 0).any()
