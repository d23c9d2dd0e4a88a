import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

from crossmodal_jax.learned import deep_cca, deep_variates
from crossmodal_jax.transforms import canonical_variates, cca

KEEP = np.arange(60) % 3 != 1  # 40 of 60 rows


def pairs(n=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    y = np.hstack([np.sin(2 * x[:, :2]), rng.normal(size=(n, 2))])
    return 5 + x * [1, 10, 0.1], 100 * y


def squares(n, seed=0):
    """Both sides show one number, y only its square, among columns that the other has not."""
    rng = np.random.default_rng(seed)
    s = rng.normal(size=n)
    rotation = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))[0]
    x = np.column_stack([s, rng.normal(size=(n, 2))]) @ rotation
    y = np.column_stack([s**2, rng.normal(size=(n, 2))]) @ rotation
    return x.astype(np.float32), (y + 0.1 * rng.normal(size=(n, 3))).astype(np.float32)


def embedding(network, z, keep):
    """The network in NumPy."""
    z = (z - z[keep].mean(0)) / z[keep].std(0)
    for i, layer in enumerate(network.layers):
        if i > 0:
            z = 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
        z = z @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])
    return z


def correlations(a, b, l2):
    """Canonical correlations by the eigenvalue problem that defines them."""
    a, b = a - a.mean(0), b - b.mean(0)
    saa, sab, sbb = a.T @ a / len(a), a.T @ b / len(a), b.T @ b / len(a)
    saa, sbb = (s + l2 * np.trace(s) / len(s) * np.eye(len(s)) for s in (saa, sbb))
    explained = sab @ np.linalg.solve(sbb, sab.T)
    return np.sqrt(np.maximum(scipy.linalg.eigh(explained, saa)[0][::-1], 0))


@functools.cache
def fitted(num_steps):
    """A fit in float64, with its networks in NumPy."""
    x, y = pairs()
    t = deep_cca(dim=4, hidden=8, l2=0.02, num_steps=num_steps, batch_size=32)
    params = jax.jit(t.fit)(x, y, KEEP)
    networks = zip(params.weights, (x, y), strict=True)
    return t, params, [embedding(f, z, KEEP) for f, z in networks]


@pytest.mark.parametrize("num_steps", [0, 5])
def test_the_end_is_linear_cca_of_the_embeddings(num_steps, x64):
    _, params, (a, b) = fitted(num_steps)
    expected = correlations(a[KEEP], b[KEEP], 0.02)
    np.testing.assert_allclose(params.cca.correlations, expected, rtol=1e-8)


def test_the_prediction_is_least_squares_on_the_embeddings(x64):
    t, params, (a, _) = fitted(5)
    x, y = pairs()
    design = np.column_stack([a, np.ones(60)])
    solution = np.linalg.lstsq(design[KEEP], y[KEEP], rcond=None)[0]
    np.testing.assert_allclose(t.apply(params, x), design @ solution, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("view", [0, 1])
def test_variates_are_those_of_the_embeddings(view, x64):
    _, params, embeddings = fitted(5)
    z, a = pairs()[view], embeddings[view]
    plain = (a - a[KEEP].mean(0)) @ np.asarray(params.cca.kernels[view])
    np.testing.assert_allclose(deep_variates(params, z, view=view), plain, atol=1e-9)
    weighted = plain * np.asarray(params.cca.correlations) ** 0.5
    got = deep_variates(params, z[7], view=view, power=0.5)
    np.testing.assert_allclose(got, weighted[7], atol=1e-9)


@pytest.mark.slow
def test_the_loss_is_that_of_each_kept_row_once(x64):
    x, y = pairs()
    # A batch of 64 goes round the 40 kept rows: 24 of them come twice.
    t = deep_cca(dim=4, hidden=8, l2=0.02, num_steps=1, batch_size=64, tx=optax.sgd(0.0))
    params = jax.jit(t.fit)(x, y, KEEP)
    expected = -np.sum(np.square(np.asarray(params.cca.correlations)))
    np.testing.assert_allclose(params.losses, [expected], rtol=1e-9)


def test_what_linear_cca_cannot_see_is_found():
    x, y = squares(1000)
    other_x, other_y = squares(1000, seed=1)
    t = deep_cca(dim=2, hidden=32, num_steps=200)
    params = jax.jit(t.fit)(x, y)
    start = jax.jit(deep_cca(dim=2, hidden=32, num_steps=0).fit)(x, y)
    linear = cca(dim=2).fit(x, y)

    def held_out(zx, zy):
        return np.corrcoef(zx[:, 0], zy[:, 0])[0, 1]

    found = held_out(deep_variates(params, other_x), deep_variates(params, other_y, view=1))
    seen = held_out(
        canonical_variates(linear, other_x), canonical_variates(linear, other_y, view=1)
    )
    assert found > 0.9
    assert seen < 0.2
    # Of one shape, but not the same network twice.
    first, second = (network.layers[0].kernel[...] for network in start.weights)
    assert np.abs(first - second).max() > 0.1
    assert params.cca.correlations[0] > start.cca.correlations[0] + 0.1


@pytest.mark.slow
def test_more_embeddings_than_units_are_finite():
    x, y = (z.astype(np.float32) for z in pairs())
    # The embeddings have 7 columns of rank 2.
    t = deep_cca(dim=7, hidden=2, depth=1, num_steps=20, batch_size=32)
    params = jax.jit(t.fit)(x, y, KEEP)
    assert np.isfinite(params.losses).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    assert np.isfinite(t.apply(params, x)).all()
    assert np.all(params.cca.correlations[2:] < 0.05)


@pytest.mark.slow
def test_fits_map_over_penalties():
    x, y = (jnp.asarray(z, jnp.float32) for z in pairs())

    def fit(l2):
        t = deep_cca(dim=2, hidden=8, l2=l2, num_steps=10, batch_size=32)
        return t.fit(x, y).cca.correlations

    together = jax.jit(jax.vmap(fit))(jnp.array([1e-3, 10.0]))
    np.testing.assert_allclose(together[1], jax.jit(fit)(10.0), atol=1e-6)
    assert np.all(together[0] > 2 * together[1])


def test_bad_numbers_and_views_are_named(no_jaxtyping):
    with pytest.raises(ValueError, match="deep_cca: `dim` must be at least 1, got 0"):
        deep_cca(dim=0)
    x, y = pairs()
    params = jax.jit(deep_cca(dim=2, num_steps=0).fit)(x, y)
    with pytest.raises(
        ValueError, match=r"deep_variates: `view` must be 0 \(x\) or 1 \(y\), got 2"
    ):
        deep_variates(params, x, view=2)
    with pytest.raises(ValueError, match=r"deep_variates: `z` must be \[\*batch, 4\] as fitted"):
        deep_variates(params, x, view=1)
