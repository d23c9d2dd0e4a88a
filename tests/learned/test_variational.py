import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.learned import Views, complete_views, variational
from crossmodal_jax.learned._variational import negative_bound

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow


def shared_latent(n=400):
    """Three views of two latent numbers, of which the first view shows but one."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=(n, 2))
    first = np.stack([u[:, 0], 2 * u[:, 0]], 1) + 0.1 * rng.normal(size=(n, 2))
    second = u @ rng.normal(size=(2, 3)) + 0.1 * rng.normal(size=(n, 3))
    y = np.stack([np.tanh(u[:, 0]), 10 * u[:, 1]], 1) + 3
    return [z.astype(np.float32) for z in (first, second)], y.astype(np.float32)


def r_squared(y, prediction):
    return 1 - np.mean(np.square(y - prediction), axis=0) / y.var(0)


@pytest.fixture(scope="module")
def fitted():
    xs, y = shared_latent()
    t = variational(dim=2, hidden=24, num_steps=800)
    present = np.random.default_rng(1).random((400, 2)) < 0.8
    shown = [np.where(present[:, m, None], x, np.nan) for m, x in enumerate(xs)]
    rows = slice(300)
    params = jax.jit(t.fit)([x[rows] for x in shown], y[rows], present=present[rows])
    return t, params, [x[300:] for x in xs], y[300:]


def test_any_views_predict_what_they_show(fitted):
    t, params, xs, y = fitted
    apply = jax.jit(t.apply)
    assert np.all(r_squared(y, apply(params, xs)) > 0.85)
    poisoned = [xs[0], np.full_like(xs[1], np.nan)]
    some = r_squared(y, apply(params, poisoned, present=np.array([True, False])))
    # The first view shows the first latent only.
    assert some[0] > 0.85
    assert some[1] < 0.3
    second = t.inverse(params, y)[1]
    assert np.all(r_squared(xs[1], second) > 0.9)


def test_absent_views_are_filled_in_and_present_ones_kept(fitted):
    t, params, xs, y = fitted
    present = np.array([True, True, False])
    filled = complete_views(params, [*xs, np.full_like(y, np.nan)], present=present)
    for got, given in zip(filled, xs, strict=False):
        np.testing.assert_array_equal(got, given)
    np.testing.assert_allclose(filled[2], t.apply(params, xs), rtol=1e-5, atol=1e-5)
    none = complete_views(params, [*xs, y], present=np.zeros(3, bool))
    np.testing.assert_allclose(none[2], np.broadcast_to(none[2][0], y.shape), rtol=1e-6)
    assert np.abs(none[2][0] - y.mean(0)).max() < 3


def test_bound_is_the_formula(x64, no_jaxtyping):
    rng = np.random.default_rng(0)
    views = [jnp.asarray(rng.normal(size=(6, 3))), jnp.asarray(rng.normal(size=(6, 2)))]
    kernels = [jnp.asarray(rng.normal(size=shape)) for shape in ((3, 4), (2, 4), (2, 3), (2, 2))]
    networks = [lambda x, k=k: x @ k for k in kernels]
    noise = jnp.array([0.3, -0.5])
    weights = Views(tuple(networks[:2]), tuple(networks[2:]), noise)
    known = np.array([[1, 1], [1, 1], [1, 1], [0, 1], [0, 1], [1, 1]], bool)
    part = np.array([[1, 1], [1, 0], [0, 1], [0, 1], [0, 1], [1, 1]], bool)
    key = jax.random.key(3)
    got = negative_bound(weights, views, jnp.asarray(known), jnp.asarray(part), key, beta=0.7)
    precision, weighted = np.ones((6, 2)), np.zeros((6, 2))
    for m in range(2):
        code = np.asarray(views[m] @ kernels[m])
        variance = np.exp(np.log1p(np.exp(code[:, 2:] + 9)) - 9)
        precision += part[:, m, None] / variance
        weighted += part[:, m, None] * code[:, :2] / variance
    mean, variance = weighted / precision, 1 / precision
    u = mean + np.sqrt(variance) * np.asarray(jax.random.normal(key, (6, 2), jnp.float64))
    divergence = 0.5 * np.sum(mean**2 + variance - np.log(variance) - 1, axis=1)
    expected = 0.7 * divergence
    for m in range(2):
        s = np.exp(np.log1p(np.exp(np.asarray(noise)[m] + 9)) - 9)
        square = np.sum(np.square(np.asarray(views[m] - u @ kernels[2 + m])), axis=1)
        expected += known[:, m] * (square / s + views[m].shape[1] * np.log(s)) / 2
    np.testing.assert_allclose(got, expected, rtol=1e-8)


def test_bad_views_are_named(no_jaxtyping):
    xs, y = shared_latent(20)
    t = variational(num_steps=0)
    params = jax.jit(t.fit)(xs, y)
    with pytest.raises(ValueError, match=r"variational: the views must have the widths \[2, 3\]"):
        t.apply(params, xs[:1])
    with pytest.raises(ValueError, match=r"complete_views: .* widths \[2, 3, 2\] as fitted"):
        complete_views(params, xs, present=np.ones(2, bool))
    with pytest.raises(ValueError, match=r"x\[1\].shape=\(20, 3\), y.shape=\(19, 2\)"):
        t.fit(xs, y[1:])
    with pytest.raises(ValueError, match="`dim` must be at least 1, got 0"):
        variational(dim=0)
