"""What closed forms must equal in special cases, to rounding, and planted maps at their rates."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from crossmodal_jax.kernels import sinkhorn
from crossmodal_jax.transforms import bures_distance, cca, gaussian_map, gromov_wasserstein, ridge


def spd(d, seed=0):
    w = np.random.default_rng(seed).normal(size=(d, d + 2))
    return w @ w.T / d


def cloud(n, covariance, seed=0):
    """Rows with exactly this covariance, about a mean that is not zero."""
    z = np.random.default_rng(seed).normal(size=(n, len(covariance)))
    z = z - z.mean(0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T, ddof=0))).T
    return z @ np.linalg.cholesky(covariance).T + 1 + seed


def squared(x, y):
    return np.square(x[:, None] - y).sum(-1)


def test_cca_of_a_side_with_itself_has_correlations_one(x64):
    x = cloud(60, spd(5))
    t = cca(dim=5, l2=0.0)
    params = jax.jit(t.fit)(x, x)
    np.testing.assert_allclose(params.correlations, 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(t.apply(params, x), x, rtol=0, atol=1e-11)
    np.testing.assert_allclose(params.residual, 0, atol=1e-12)


def test_ridge_of_an_infinite_penalty_is_the_mean(x64):
    x = cloud(40, spd(5))
    y = x @ np.random.default_rng(1).normal(size=(5, 3)) + np.array([1.0, -2.0, 30.0])
    fit = jax.jit(lambda l2: ridge(l2=l2).fit(x, y))
    params = fit(1e18)
    predicted = ridge().apply(params, 3 * x)
    np.testing.assert_allclose(predicted, np.tile(y.mean(0), (40, 1)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(params.residual, np.cov(y.T, ddof=0), rtol=1e-12)
    # On the way there, W = S_xy / λ with the penalty in units of the mean variance.
    cross = (x - x.mean(0)).T @ (y - y.mean(0)) / 40
    np.testing.assert_allclose(fit(1e14).kernel * 1e14 * x.var(0).mean(), cross, rtol=0, atol=1e-12)


def test_squared_distance_of_gaussians_is_the_least_cost_of_any_coupling(x64):
    # Rows that the map pushes forward are coupled at the cost of the Bures formula, and rows of
    # any other cloud with these moments cost at least that, however they are matched.
    s_x, s_y = spd(4), spd(4, seed=1)
    x, z = cloud(60, s_x), cloud(60, s_y, seed=2)
    distance = float(jax.jit(bures_distance)(x.mean(0), s_x, z.mean(0), s_y))
    t = gaussian_map(l2=0.0)
    moved = np.asarray(t.apply(jax.jit(t.fit)(x, z), x))
    np.testing.assert_allclose(np.square(x - moved).sum(1).mean(), distance, rtol=1e-12)
    np.testing.assert_allclose(moved.mean(0), z.mean(0), rtol=1e-12)
    np.testing.assert_allclose(np.cov(moved.T, ddof=0), s_y, rtol=0, atol=1e-12)
    rows, columns = scipy.optimize.linear_sum_assignment(squared(x, moved))
    np.testing.assert_array_equal(rows, columns)
    cost = squared(x, z)
    assert cost[scipy.optimize.linear_sum_assignment(cost)].mean() > distance + 1e-3


@pytest.mark.parametrize("d", [1, 3])
def test_vanishing_entropy_leaves_the_assignment(d, x64):
    # Shifted by more than a gap, so that the nearest row is not the match. The potentials of an
    # assignment are approached as 1/k only, unless they are near those of one softmin, as here.
    rng = np.random.default_rng(0)
    x = rng.permutation(np.arange(6.0))[:, None] + 0.1 * rng.normal(size=(6, d))
    y = 2 + rng.permutation(1.1 * np.arange(6.0))[:, None] + 0.1 * rng.normal(size=(6, d))
    rows, columns = scipy.optimize.linear_sum_assignment(squared(x, y))
    best = squared(x, y)[rows, columns].mean()
    assert (squared(x, y).argmin(1) != columns).any()
    if d == 1:  # sorting
        ordered = np.square(np.sort(x, axis=0) - np.sort(y, axis=0))
        np.testing.assert_allclose(best, ordered.mean(), rtol=1e-12)
    epsilon = 0.02
    solve = functools.partial(sinkhorn, max_iterations=20_000, tolerance=1e-14)
    found = jax.jit(functools.partial(solve, implementation="xla"))(x, y, epsilon=epsilon)
    plan = np.exp((np.asarray(found.f)[:, None] + found.g - squared(x, y)) / epsilon) / 36
    np.testing.assert_allclose(plan, np.eye(6)[columns] / 6, rtol=0, atol=1e-12)
    # The entropy of an assignment is log n.
    np.testing.assert_allclose(found.value - epsilon * np.log(6), best, rtol=0, atol=1e-12)


@pytest.mark.slow  # long to compile
def test_isometric_clouds_are_at_distance_zero_of_gromov_and_wasserstein(x64):
    rng = np.random.default_rng(0)
    x = rng.gamma(1.0, size=(12, 3))
    order, basis = rng.permutation(12), scipy.stats.ortho_group.rvs(5, random_state=0)[:3]
    y = x[order] @ basis - 4
    t = gromov_wasserstein(epsilon=1e-3, num_steps=20, max_iterations=3000)
    params = jax.jit(t.fit)(x, y)
    assert params.value < 1e-6 * squared(x, x).mean() ** 2
    moved = np.asarray(jax.jit(t.apply)(params, x))
    np.testing.assert_allclose(moved, x @ basis - 4, atol=2e-3)
    match = squared(moved, y).argmin(1)
    np.testing.assert_array_equal(order[match], np.arange(12))
    difference = squared(x, x) - squared(y, y)[np.ix_(match, match)]
    np.testing.assert_allclose(np.square(difference).mean(), 0, atol=1e-12)


@pytest.mark.parametrize("n", [40, 160, 640])
def test_a_planted_linear_map_is_learned_at_the_rate_of_theory(n, x64):
    # Least squares with an intercept on rows x ~ N(m, I) and noise of variance σ²: over the rows
    # themselves the excess risk is σ² (d + 1) / n for each output, over new ones
    # σ² (1/n + (1 + 1/n) d / (n − d − 2)).
    d, dy, sigma, repeats = 6, 2, 0.7, 400
    rng = np.random.default_rng(n)
    planted, mean = rng.normal(size=(d, dy)), 3.0
    x = mean + rng.normal(size=(repeats, n, d))
    y = x @ planted + sigma * rng.normal(size=(repeats, n, dy))
    t = ridge(l2=0.0)

    @jax.jit
    @jax.vmap
    def excess(x, y):
        params = t.fit(x, y)
        seen = jnp.sum(jnp.square(t.apply(params, x) - x @ planted)) / (n * dy)
        # Over new rows in closed form: the error is linear in them.
        at_mean = t.apply(params, jnp.full(d, mean)) - mean * planted.sum(0)
        new = jnp.sum(jnp.square(at_mean)) + jnp.sum(jnp.square(params.kernel - planted))
        return seen, new / dy

    seen, new = (np.asarray(value) / sigma**2 for value in excess(x, y))
    for value, expected in [
        (seen, (d + 1) / n),
        (new, 1 / n + (1 + 1 / n) * d / (n - d - 2)),
    ]:
        error = value.std() / np.sqrt(repeats)
        assert error < 0.05 * expected
        assert abs(value.mean() - expected) < 4 * error


def test_a_planted_gaussian_map_is_learned_at_the_rate_of_the_moments(x64):
    # The optimal map between Gaussians is the positive definite one; there are no pairs.
    planted, s_x, shift = spd(3, seed=3) + np.eye(3), spd(3), np.array([1.0, -2.0, 5.0])
    fit = jax.jit(jax.vmap(gaussian_map(l2=0.0).fit))
    errors = []
    for n in (500, 8000):
        z = np.random.default_rng(n).normal(size=(2, 30, n, 3))
        x, other = z @ np.linalg.cholesky(s_x).T
        params = fit(x, other @ planted + shift)
        np.testing.assert_allclose(np.mean(params.kernel, axis=0), planted, atol=0.1)
        errors.append(np.sqrt(np.square(params.kernel - planted).mean()))
    assert errors[1] < 0.05
    # Sixteen times the rows, a quarter of the error.
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=0.25)
