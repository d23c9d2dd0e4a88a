import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.transforms import chain, pca, procrustes, ridge, whiten


def data(n=30, dx=6, dy=3):
    rng = np.random.default_rng(0)
    x = 2 + rng.normal(size=(n, dx)) * np.linspace(2, 0.5, dx)
    return x, x @ rng.normal(size=(dx, dy)) + rng.normal(size=(n, dy)) - 3


def test_parts_are_fitted_in_turn(x64):
    x, y = data()
    first, second, third = whiten(), pca(dim=4), ridge(l2=0.1)
    t = chain(first, second, third)
    params = jax.jit(t.fit)(x, y)
    one = jax.jit(first.fit)(x)
    z = first.apply(one, x)
    two = jax.jit(second.fit)(z)
    z = second.apply(two, z)
    three = jax.jit(third.fit)(z, y)
    jax.tree.map(
        lambda got, wanted: np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9),
        params,
        (one, two, three),
    )
    expected = third.apply(three, z)
    np.testing.assert_allclose(t.apply(params, x), expected, rtol=1e-9)
    errors = y - np.asarray(expected)
    np.testing.assert_allclose(params[-1].residual, np.cov(errors.T, ddof=0), rtol=1e-9)
    assert t.inverse is None
    assert t.solve is None


def test_inverse_undoes_the_parts_in_reverse(x64):
    x, _ = data()
    t = chain(whiten(l2=0.0), pca(dim=6), procrustes(scaled=True))
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    params = jax.jit(t.fit)(x, x @ rotation)
    np.testing.assert_allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-10)


def test_one_part_is_that_part(x64):
    x, y = data()
    predict = lambda t: jax.jit(lambda x, y: t.apply(t.fit(x, y), x))(x, y)
    np.testing.assert_allclose(predict(chain(ridge())), predict(ridge()), rtol=1e-12)
    nested = chain(chain(whiten()), chain(pca(dim=2), ridge()))
    flat = chain(whiten(), pca(dim=2), ridge())
    np.testing.assert_allclose(predict(nested), predict(flat), rtol=1e-12)


def test_dropped_rows_have_no_gradient():
    x, y = (z.astype(np.float32) for z in data())
    keep = np.arange(30) < 20
    x[20:], y[20:] = np.nan, np.inf
    t = chain(whiten(), ridge())
    loss = lambda x, y: jnp.sum(jnp.sin(t.apply(t.fit(x, y, keep), x[:5])))
    for gradient in jax.jit(jax.grad(loss, argnums=(0, 1)))(x, y):
        assert np.isfinite(gradient).all()
        assert (np.asarray(gradient)[20:] == 0).all()
        assert (np.asarray(gradient)[:20] != 0).any()


def test_a_penalty_inside_is_differentiated(x64):
    x, y = data()

    @jax.jit
    @jax.value_and_grad
    def loss(l2):
        t = chain(whiten(l2=l2), ridge(l2=l2))
        return jnp.mean(jnp.square(t.apply(t.fit(x, y), x) - y))

    difference = (loss(0.1 + 1e-5)[0] - loss(0.1 - 1e-5)[0]) / 2e-5
    np.testing.assert_allclose(loss(0.1)[1], difference, rtol=1e-6)


def test_no_parts_are_an_error():
    with pytest.raises(ValueError, match="chain: needs one transform at least"):
        chain()
