import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from crossmodal_jax.transforms import gromov_wasserstein

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow


def clouds(n=12, m=9, dx=3, dy=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.gamma(1.0, size=(n, dx)), 4 + rng.gamma(1.0, size=(m, dy))


def squared(x):
    return np.square(x[:, None] - x).sum(-1)


def transport(cost, eps, iterations=3000):
    n, m = cost.shape
    f, g = np.zeros(n), np.zeros(m)
    for _ in range(iterations):
        f = -eps * (scipy.special.logsumexp((g - cost) / eps, axis=1) - np.log(m))
        g = -eps * (scipy.special.logsumexp((f[:, None] - cost) / eps, axis=0) - np.log(n))
    return np.exp((f[:, None] + g - cost) / eps) / (n * m)


def dense_plan(x, y, eps, alpha, steps):
    """The steps with whole matrices of distances."""
    plan = np.full((len(x), len(y)), 1 / (len(x) * len(y)))
    linear = 0
    if alpha < 1:
        linear = np.square((x - x.mean(0))[:, None] - (y - y.mean(0))).sum(-1)
    for _ in range(steps):
        cost = -4 * alpha * squared(x) @ plan @ squared(y) + (1 - alpha) * linear
        plan = transport(cost, eps)
    return plan


def objective(plan, x, y, alpha):
    """Term by term, four indices."""
    within = np.square(squared(x)[:, None, :, None] - squared(y)[None, :, None, :])
    value = alpha * np.einsum("ijkl,ij,kl->", within, plan, plan)
    if alpha < 1:
        linear = np.square((x - x.mean(0))[:, None] - (y - y.mean(0))).sum(-1)
        value += (1 - alpha) * np.sum(plan * linear)
    return value


def relative(x, y, alpha):
    c_x, c_y = squared(x).mean(), squared(y).mean()
    return alpha * c_x * c_y + (1 - alpha) * (c_x + c_y) / 2


@pytest.mark.parametrize(("alpha", "dy"), [(1.0, 2), (0.6, 3)])
@pytest.mark.parametrize("steps", [1, 4])
def test_plan_and_value_match_numpy(alpha, dy, steps, x64):
    x, y = clouds(dy=dy)
    kwargs = {"tolerance": 1e-12, "max_iterations": 20000}
    t = gromov_wasserstein(epsilon=0.1, alpha=alpha, num_steps=steps, **kwargs)
    params = jax.jit(t.fit)(x, y)
    eps = 0.1 * relative(x, y, alpha)
    np.testing.assert_allclose(params.epsilon, eps, rtol=1e-12)
    plan = dense_plan(x, y, eps, alpha, steps)
    forth, back = plan @ y * len(x), plan.T @ x * len(y)
    np.testing.assert_allclose(jax.jit(t.apply)(params, x), forth, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(jax.jit(t.inverse)(params, y), back, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(params.value, objective(plan, x, y, alpha), rtol=1e-8)


@pytest.mark.filterwarnings("ignore:JAXopt is no longer maintained:DeprecationWarning")
@pytest.mark.parametrize(("alpha", "dy"), [(1.0, 2), (0.6, 3)])
def test_steps_are_those_of_ott(alpha, dy, x64):
    from ott.geometry import pointcloud
    from ott.problems.quadratic import quadratic_problem
    from ott.solvers.linear import sinkhorn
    from ott.solvers.quadratic import gromov_wasserstein as theirs

    x, y = clouds(dy=dy)
    steps, eps = 5, 0.1 * relative(x, y, alpha)
    inner = sinkhorn.Sinkhorn(threshold=1e-12, max_iterations=20000)
    # They count the steps after the first. Half our derivative, so half our ε; their fused
    # term has no weight of the other beside it.
    solver = theirs.GromovWasserstein(
        inner,
        epsilon=eps / (2 * alpha),
        min_iterations=steps,
        max_iterations=steps,
        threshold=-1.0,
        warm_start=False,
    )
    fused = {}
    if alpha < 1:
        both = pointcloud.PointCloud(jnp.asarray(x - x.mean(0)), jnp.asarray(y - y.mean(0)))
        fused = {"geom_xy": both, "fused_penalty": (1 - alpha) / (2 * alpha)}
    sides = (pointcloud.PointCloud(jnp.asarray(z), jnp.asarray(z)) for z in (x, y))
    problem = quadratic_problem.QuadraticProblem(*sides, **fused)
    plan = np.asarray(solver(problem).linear_state.matrix)
    kwargs = {"tolerance": 1e-12, "max_iterations": 20000}
    t = gromov_wasserstein(epsilon=0.1, alpha=alpha, num_steps=steps + 1, **kwargs)
    got = jax.jit(t.apply)(jax.jit(t.fit)(x, y), x)
    np.testing.assert_allclose(got, plan @ y * len(x), rtol=1e-8, atol=1e-8)


def test_isometric_clouds_are_matched_at_distance_zero(x64):
    x, _ = clouds(n=30)
    rng = np.random.default_rng(3)
    order, basis = rng.permutation(30), scipy.stats.ortho_group.rvs(5, random_state=0)[:3]
    y = x[order] @ basis + 7
    t = gromov_wasserstein(epsilon=1e-3, num_steps=30, max_iterations=3000)
    params = jax.jit(t.fit)(x, y)
    moved = np.asarray(jax.jit(t.apply)(params, x))
    np.testing.assert_allclose(moved, x @ basis + 7, atol=0.15)
    nearest = np.square(moved[:, None] - y).sum(-1).argmin(1)
    np.testing.assert_array_equal(order[nearest], np.arange(30))
    assert 0 <= params.value < 1e-3 * relative(x, y, 1.0)


def test_moving_and_turning_either_cloud_is_followed(x64):
    x, y = clouds()
    t = gromov_wasserstein(epsilon=0.1, tolerance=1e-12, num_steps=5)
    fit, apply = jax.jit(t.fit), jax.jit(t.apply)
    turn = scipy.stats.ortho_group.rvs(3, random_state=0)
    base = apply(fit(x, y), x)
    np.testing.assert_allclose(apply(fit(x @ turn + 5, y), x @ turn + 5), base, rtol=1e-6)
    turn = scipy.stats.ortho_group.rvs(2, random_state=0)
    np.testing.assert_allclose(apply(fit(x, y @ turn - 3), x), base @ turn - 3, rtol=1e-6)


def test_fused_with_little_of_the_distances_is_transport(x64):
    from crossmodal_jax.transforms import entropic_ot

    x, y = clouds(dy=3)
    kwargs = {"epsilon": 0.1, "tolerance": 1e-12, "max_iterations": 20000}
    fused, plain = gromov_wasserstein(alpha=1e-9, **kwargs), entropic_ot(**kwargs)
    got = fused.apply(fused.fit(x, y), x)
    np.testing.assert_allclose(got, plain.apply(plain.fit(x, y), x), rtol=1e-5)


def test_memory_is_linear_in_the_points():
    t = gromov_wasserstein()

    def temp_bytes(n):
        points = jax.ShapeDtypeStruct((n, 4), jnp.float32)
        compiled = jax.jit(t.fit).lower(points, points).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    small, large = temp_bytes(2048), temp_bytes(4096)
    assert large < 2.2 * small
    assert large < 4 * 4096 * 4096 / 2


def test_bad_arguments_are_named(no_jaxtyping):
    for alpha in (0.0, 1.5):
        with pytest.raises(ValueError, match=rf"`alpha` must be in \(0, 1\], got {alpha}"):
            gromov_wasserstein(alpha=alpha)
    x, y = clouds()
    with pytest.raises(ValueError, match=r"one width, got x.shape=\(12, 3\) and y.shape=\(9, 2\)"):
        gromov_wasserstein(alpha=0.5).fit(x, y)
