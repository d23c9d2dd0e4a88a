import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from crossmodal_jax.transforms import procrustes_wasserstein

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow


def cloud(n=60, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.gamma(1.0, size=(n, d)) * np.linspace(2, 0.5, d)


def rotation(d, seed=0):
    return scipy.stats.ortho_group.rvs(d, random_state=seed)


@pytest.fixture(scope="module")
def fit():
    return jax.jit(procrustes_wasserstein().fit)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_planted_rotation_is_found_in_shuffled_rows(fit, seed):
    x, q = cloud(seed=seed), rotation(4, seed)
    order = np.random.default_rng(seed).permutation(60)
    params = fit(x.astype(np.float32), (x[order] @ q + 7).astype(np.float32))
    np.testing.assert_allclose(params.rotation, q, atol=0.02)
    moved = np.asarray(procrustes_wasserstein().apply(params, x.astype(np.float32)))
    cost = np.square(moved[:, None] - (x[order] @ q + 7)).sum(-1)
    np.testing.assert_array_equal(order[cost.argmin(1)], np.arange(60))


def test_another_sample_of_the_same_cloud_is_found_too(x64):
    x, q = cloud(300), rotation(4)
    y = cloud(260, seed=9) @ q - 3
    t = procrustes_wasserstein(epsilon=0.05, num_steps=10)
    params = jax.jit(t.fit)(x, y)
    np.testing.assert_allclose(params.rotation, q, atol=0.3)


def test_result_is_a_fixed_point_of_the_alternation(x64):
    x, z = cloud(40), cloud(40, seed=1) @ rotation(4)
    t = procrustes_wasserstein(epsilon=0.005, num_steps=40, tolerance=1e-4)
    params = jax.jit(t.fit)(x, z)
    q = np.asarray(params.rotation)
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-12)
    # The plan of ε → 0 is an assignment, and its Procrustes solution is Q again.
    x, y = x - x.mean(0), z - z.mean(0)
    rows, columns = scipy.optimize.linear_sum_assignment(np.square((x @ q)[:, None] - y).sum(-1))
    u, _, vt = np.linalg.svd(x[rows].T @ y[columns])
    np.testing.assert_allclose(u @ vt, q, atol=0.1)
    best = np.square(x[rows] @ q - y[columns]).sum(1).mean()
    np.testing.assert_allclose(params.value, best, rtol=0.2)


@pytest.mark.parametrize("d", [1, 3])
def test_identity_and_inverse(d, x64):
    x = cloud(30, d)
    t = procrustes_wasserstein()
    params = jax.jit(t.fit)(x, x - 2)
    np.testing.assert_allclose(params.rotation, np.eye(d), atol=0.02)
    np.testing.assert_allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-12)
    np.testing.assert_allclose(np.mean(t.apply(params, x), axis=0), x.mean(0) - 2, atol=1e-12)


def test_reflections_are_orthogonal_too(fit):
    x = cloud().astype(np.float32)
    flip = np.diag([1.0, -1.0, 1.0, 1.0]).astype(np.float32)
    np.testing.assert_allclose(fit(x, x @ flip).rotation, flip, atol=0.02)
