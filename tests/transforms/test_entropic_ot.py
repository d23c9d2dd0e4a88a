import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from crossmodal_jax.transforms import entropic_ot

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow


def clouds(n=12, m=9, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), 4 + 2 * rng.normal(size=(m, d))


def cost_of(x, y):
    return np.square(x[:, None] - y).sum(-1)


def dense_plan(x, y, eps, iterations=4000):
    cost = cost_of(x - x.mean(0), y - y.mean(0))
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for _ in range(iterations):
        f = -eps * (scipy.special.logsumexp((g - cost) / eps, axis=1) - np.log(len(y)))
        g = -eps * (scipy.special.logsumexp((f[:, None] - cost) / eps, axis=0) - np.log(len(x)))
    return np.exp((f[:, None] + g - cost) / eps) / cost.size


def scale_of(x, y):
    return cost_of(x - x.mean(0), y - y.mean(0)).mean()


def test_fitted_rows_go_to_the_barycentres_of_the_plan(x64):
    x, y = clouds()
    t = entropic_ot(epsilon=0.1, tolerance=1e-13, max_iterations=5000)
    params = jax.jit(t.fit)(x, y)
    np.testing.assert_allclose(params.epsilon, 0.1 * scale_of(x, y), rtol=1e-12)
    plan = dense_plan(x, y, 0.1 * scale_of(x, y))
    forth = plan @ y / plan.sum(1, keepdims=True)
    back = plan.T @ x / plan.sum(0)[:, None]
    np.testing.assert_allclose(jax.jit(t.apply)(params, x), forth, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(jax.jit(t.inverse)(params, y), back, rtol=1e-8, atol=1e-8)
    entropy = np.sum(plan * np.log(plan * plan.size))
    expected = np.sum(plan * cost_of(x, y)) + params.epsilon * entropy
    np.testing.assert_allclose(params.value, expected, rtol=1e-10)
    assert params.error <= 1e-13


@pytest.mark.filterwarnings("ignore:JAXopt is no longer maintained:DeprecationWarning")
def test_new_points_go_where_ott_sends_them(x64):
    from ott.geometry import pointcloud
    from ott.solvers import linear

    x, y = clouds()
    new = np.random.default_rng(5).normal(size=(20, 3))
    eps = 0.1 * scale_of(x, y)
    geometry = pointcloud.PointCloud(x, y, epsilon=eps)
    theirs = linear.solve(geometry, threshold=1e-13, max_iterations=20000).to_dual_potentials()
    t = entropic_ot(epsilon=0.1, tolerance=1e-13, max_iterations=5000)
    params = jax.jit(t.fit)(x, y)
    got = jax.jit(t.apply)(params, new.reshape(4, 5, 3)).reshape(20, 3)
    np.testing.assert_allclose(got, theirs.transport(new), rtol=1e-8, atol=1e-8)
    back = jax.jit(t.inverse)(params, new + 4)
    expected = theirs.transport(new + 4, forward=False)
    np.testing.assert_allclose(back, expected, rtol=1e-8, atol=1e-8)


def test_limits_are_the_assignment_and_the_mean(x64):
    x, y = clouds(9, 9)
    t = entropic_ot(epsilon=1e-4, tolerance=1e-6, max_iterations=50000)
    params = jax.jit(t.fit)(x, y)
    columns = scipy.optimize.linear_sum_assignment(cost_of(x, y))[1]
    np.testing.assert_allclose(t.apply(params, x), y[columns], atol=1e-3)
    np.testing.assert_allclose(t.inverse(params, y[columns]), x, atol=1e-3)
    t = entropic_ot(epsilon=1e6)
    np.testing.assert_allclose(t.apply(t.fit(x, y), x), np.tile(y.mean(0), (9, 1)), atol=1e-4)


def test_moving_and_scaling_the_data_moves_and_scales_the_map(x64):
    x, y = clouds()
    t = entropic_ot(epsilon=0.1, tolerance=1e-12)
    base = t.apply(t.fit(x, y), x)
    moved = t.apply(t.fit(x + 5, y - 3), x + 5)
    np.testing.assert_allclose(moved, base - 3, rtol=1e-8)
    scaled = t.apply(t.fit(10 * x, 10 * y), 10 * x)
    np.testing.assert_allclose(scaled, 10 * base, rtol=1e-8)


def test_a_smooth_map_is_learned_from_two_samples():
    rng = np.random.default_rng(0)
    x, z, new = rng.normal(size=(3, 600, 2)).astype(np.float32)
    matrix = np.array([[1.5, 0.4], [0.4, 0.8]], np.float32)  # a gradient of a convex function
    t = entropic_ot(epsilon=0.02)
    moved = jax.jit(t.apply)(jax.jit(t.fit)(x, z @ matrix + 3), new)
    error = np.square(moved - (new @ matrix + 3)).sum(1).mean()
    assert error < 0.05 * np.square(new @ matrix).sum(1).mean()


def test_memory_is_linear_in_the_points():
    t = entropic_ot()

    def temp_bytes(n):
        points = jax.ShapeDtypeStruct((n, 4), jnp.float32)

        def loss(x, y):
            return jnp.sum(t.apply(t.fit(x, y), x) ** 2)

        compiled = jax.jit(jax.grad(loss)).lower(points, points).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    small, large = temp_bytes(2048), temp_bytes(4096)
    assert large < 2.2 * small
    assert large < 4 * 4096 * 4096 / 2


def test_epsilon_maps():
    x, y = (z.astype(np.float32) for z in clouds())

    def moved(epsilon):
        t = entropic_ot(epsilon=epsilon)
        return t.apply(t.fit(x, y), x)

    epsilons = np.array([0.05, 0.5], np.float32)
    for epsilon, got in zip(epsilons, jax.jit(jax.vmap(moved))(epsilons), strict=True):
        np.testing.assert_allclose(got, moved(float(epsilon)), rtol=1e-3, atol=1e-3)
