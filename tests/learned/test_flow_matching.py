import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import nn
from crossmodal_jax.learned import Velocity, flow_matching

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow


def linear_flow(x, y, num=400):
    """The exact map for Gaussian pairs, by their velocity E[y − x | zₜ].

    It is Cov(y − x, zₜ) Cov(zₜ)⁻¹ zₜ, integrated in float64 by the implicit
    midpoint rule, another method than ours.
    """
    d = x.shape[1]
    s = np.cov(np.hstack([x, y]).T, ddof=0)
    eye = np.eye(d)
    flow = eye
    for i in range(num):
        t = (i + 0.5) / num
        at = np.hstack([(1 - t) * eye, t * eye])
        velocity = np.hstack([-eye, eye]) @ s @ at.T @ np.linalg.inv(at @ s @ at.T)
        half = velocity / (2 * num)
        flow = np.linalg.solve(eye - half, (eye + half) @ flow)
    return flow


def gaussian_pairs(noise):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2)) @ np.array([[1.0, 0.3], [0.0, 0.8]])
    a = np.array([[1.5, 0.6], [0.6, 0.9]])
    return x, x @ a + noise * rng.normal(size=x.shape), a


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_gaussian_pairs_are_carried_by_the_closed_form_map(noise):
    x, y, a = gaussian_pairs(noise)
    t = flow_matching(hidden=32, num_steps=500)
    params = jax.jit(t.fit)(x.astype(np.float32), y.astype(np.float32))
    zx, zy = ((z - z.mean(0)) / z.std(0) for z in (x, y))
    flow = linear_flow(zx, zy)
    if noise == 0:
        # Without noise and for a symmetric positive definite map it is that map.
        np.testing.assert_allclose(flow, (a * x.std(0)[:, None] / y.std(0)).T, atol=1e-4)
    expected = y.mean(0) + y.std(0) * (zx @ flow.T)
    got = t.apply(params, x.astype(np.float32))
    assert np.sqrt(np.mean(np.square(got - expected))) < 0.1 * y.std()
    # Noise is kept: a regression would lose it.
    np.testing.assert_allclose(np.cov(np.asarray(got).T), np.cov(y.T), rtol=0.1, atol=0.1)


def test_increasing_map_is_recovered_pair_by_pair():
    x = np.random.default_rng(0).uniform(-2, 2, size=(400, 1)).astype(np.float32)
    y = np.exp(x) + 3
    t = flow_matching(hidden=32, num_steps=600)
    params = jax.jit(t.fit)(x, y)
    # Lines of an increasing map never cross.
    assert np.max(np.abs(t.apply(params, x) - y)) < 0.15 * y.std()
    assert np.mean(np.abs(t.inverse(params, y) - x)) < 0.1


def random_velocity():
    network = nn.MLP(4, 8, 3, rngs=nnx.Rngs(0))
    return Velocity(jax.tree.map(lambda w: w.astype(jnp.float64), network))


def test_solver_is_of_fourth_order_and_undone_backwards(x64):
    x = np.random.default_rng(0).normal(size=(20, 3))

    def solve(num):
        t = flow_matching(num_steps=0, hidden=8, num_integration_steps=num)
        params = jax.jit(t.fit)(x, x)._replace(weights=random_velocity())
        image = t.apply(params, x)
        return image, t.inverse(params, image)

    exact, _ = jax.jit(solve, static_argnums=0)(256)
    assert np.abs(exact - x).max() > 0.3
    coarse, fine = (np.abs(jax.jit(solve, static_argnums=0)(n)[0] - exact).max() for n in (4, 8))
    assert 10 < coarse / fine < 24
    _, back = jax.jit(solve, static_argnums=0)(32)
    np.testing.assert_allclose(back, x, atol=1e-6)


def test_one_step_is_the_classical_formula(x64):
    x = np.random.default_rng(0).normal(size=(5, 3))
    weights = random_velocity()
    t = flow_matching(num_steps=0, hidden=8, num_integration_steps=1)
    params = jax.jit(t.fit)(x, x)
    z = np.asarray((x - params.scale_x.mean) / params.scale_x.std)

    def v(z, time):
        return np.asarray(weights.network(np.hstack([z, np.full((5, 1), time)])))

    k1 = v(z, 0.0)
    k2 = v(z + k1 / 2, 0.5)
    k3 = v(z + k2 / 2, 0.5)
    k4 = v(z + k3, 1.0)
    expected = params.scale_y.mean + params.scale_y.std * (z + (k1 + 2 * k2 + 2 * k3 + k4) / 6)
    got = t.apply(params._replace(weights=weights), x)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_bad_input_is_named(no_jaxtyping):
    x = np.zeros((5, 3), np.float32)
    with pytest.raises(ValueError, match="flow_matching: both sides must have one width, got dx=3"):
        flow_matching().fit(x, x[:, :2])
    with pytest.raises(ValueError, match="`num_integration_steps` must be at least 1, got 0"):
        flow_matching(num_integration_steps=0)
