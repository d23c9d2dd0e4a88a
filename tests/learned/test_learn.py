import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax.learned import learn, mlp, residual
from crossmodal_jax.transforms import cca, ridge


def planted(kind, n=600, d=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d))
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    y = np.sin(2 * x @ rotation) if kind == "sine" else x @ rotation + 0.3 * rng.normal(size=(n, d))
    return x.astype(np.float32), y.astype(np.float32)


def r_squared(t, params, x, y):
    return 1 - np.mean(np.square(y - t.apply(params, x))) / np.var(y)


def linear(key, dx, dy):
    del key
    return jnp.zeros((dx, dy), jnp.float32)


def times(kernel, x):
    return jnp.matmul(x, kernel, precision="highest")


@pytest.mark.slow
@pytest.mark.parametrize("factory", [mlp, residual])
def test_a_sine_is_learned_where_a_line_cannot(factory):
    x, y = planted("sine")
    t = factory(hidden=32, num_steps=600)
    params = jax.jit(t.fit)(x[:400], y[:400])
    assert r_squared(t, params, x[400:], y[400:]) > 0.95
    assert r_squared(ridge(), ridge().fit(x[:400], y[:400]), x[400:], y[400:]) < 0.2


@pytest.mark.parametrize("factory", [mlp, residual])
def test_a_line_is_learned_about_as_well_as_by_ridge(factory):
    x, y = planted("line")
    t = factory(hidden=32, num_steps=300)
    params = jax.jit(t.fit)(x[:400], y[:400])
    least = r_squared(ridge(), ridge().fit(x[:400], y[:400]), x[400:], y[400:])
    assert r_squared(t, params, x[400:], y[400:]) > least - 0.01


def test_a_linear_map_under_squared_error_is_least_squares(x64):
    x, y = (z.astype(np.float64) for z in planted("line", n=50))
    keep = np.arange(50) % 5 != 0
    # Every batch is the 40 kept rows once: gradient descent on a quadratic.
    t = learn(linear, times, tx=optax.sgd(0.5), num_steps=300, batch_size=40)
    params = jax.jit(t.fit)(x, y, keep)
    design = np.hstack([x, np.ones((50, 1))])
    solution = np.linalg.lstsq(design[keep], y[keep], rcond=None)[0]
    np.testing.assert_allclose(t.apply(params, x), design @ solution, rtol=1e-8, atol=1e-8)


def test_one_step_is_the_gradient_of_the_standardised_loss(x64):
    x, y = (z.astype(np.float64) for z in planted("sine", n=40))
    t = learn(linear, times, tx=optax.sgd(1.0), num_steps=1, batch_size=80)
    params = jax.jit(t.fit)(10 * x + 5, 1000 * y - 7)
    zx, zy = ((z - z.mean(0)) / z.std(0) for z in (x, y))
    np.testing.assert_allclose(params.weights, 2 * zx.T @ zy / zy.size, rtol=1e-9)
    np.testing.assert_allclose(params.losses, [np.mean(zy**2)], rtol=1e-9)
    np.testing.assert_allclose(params.scale_x.mean, 5 + 10 * x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(params.scale_y.std, 1000 * y.std(0), rtol=1e-12)


def seen(keep, *, batch_size, num_steps, seed=0):
    """How often each row was drawn, told by weights that a hit moves by 1."""
    n = len(keep)
    x = np.arange(n, dtype=np.float32)[:, None]

    def loss(weights, batch, key):
        del key
        # Rows are told apart by their standardised values.
        hits = jnp.sum(jnp.abs(batch.x - values) < 1e-4, axis=0)
        return -jnp.sum(weights * hits.astype(jnp.float32))

    kept = x[keep]
    values = jnp.asarray((x - kept.mean()) / kept.std())[:, 0]
    t = learn(
        lambda key, dx, dy: jnp.zeros(n, jnp.float32),
        lambda weights, x: x,
        loss=loss,
        tx=optax.sgd(1.0),
        num_steps=num_steps,
        batch_size=batch_size,
        seed=seed,
    )
    return np.asarray(jax.jit(t.fit)(x, x, keep).weights)


def test_batches_are_epochs_of_the_kept_rows():
    keep = np.arange(12) % 4 != 1
    # 9 kept rows; 9 steps of 4 rows are 4 epochs.
    np.testing.assert_array_equal(seen(keep, batch_size=4, num_steps=9), 4 * keep)
    once = seen(keep, batch_size=4, num_steps=2)
    assert set(once[keep]) == {0, 1}
    assert np.sum(once) == 8
    np.testing.assert_array_equal(seen(keep, batch_size=21, num_steps=3), 7 * keep)


def test_the_seed_decides_the_order():
    keep = np.ones(30, bool)
    first, again, other = (seen(keep, batch_size=10, num_steps=1, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_residual_starts_as_its_base():
    x, y = planted("sine", n=80)
    x, y = 3 * x + 5, 10 * y + 100
    for base in (None, cca(dim=2)):
        t = residual(base=base, num_steps=0)
        params = jax.jit(t.fit)(x, y)
        base = base or ridge()
        expected = base.fit(x, y)
        np.testing.assert_allclose(t.apply(params, x), base.apply(expected, x), rtol=1e-6)
        np.testing.assert_allclose(params.residual, expected.residual, rtol=1e-4, atol=1e-3)


def test_a_step_that_is_not_finite_is_skipped():
    x, y = planted("line", n=40)

    def loss(weights, batch, key):
        bad = jax.random.uniform(key) < 0.5
        return jnp.where(bad, jnp.nan, jnp.mean(jnp.square(batch.y - times(weights, batch.x))))

    t = learn(linear, times, loss=loss, num_steps=40)
    params = jax.jit(t.fit)(x, y)
    assert 5 < np.isnan(params.losses).sum() < 35
    assert np.isfinite(params.weights).all()
    assert np.abs(params.weights).max() > 0


def test_inverse_is_in_the_units_of_the_data():
    x = np.linspace(10, 20, 30, dtype=np.float32)[:, None]
    t = learn(linear, times, inverse=lambda w, y: y / w[0, 0], tx=optax.sgd(0.5), num_steps=50)
    params = jax.jit(t.fit)(x, 3 * x - 7)
    np.testing.assert_allclose(t.inverse(params, t.apply(params, x)), x, rtol=1e-5)
    np.testing.assert_allclose(t.inverse(params, 3 * x - 7), x, rtol=1e-3)
