"""Log-likelihoods: what is not observed, extremes, and probabilities that add up to 1."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from crossmodal_jax import losses

CONTINUOUS = [losses.gaussian_log_likelihood, losses.laplace_log_likelihood]
ALL = [*CONTINUOUS, losses.bernoulli_log_likelihood]


@pytest.mark.parametrize("function", CONTINUOUS)
def test_density_integrates_to_1(function, x64):
    grid = np.linspace(-60, 60, 100_001)[:, None]
    density = jnp.exp(function(grid, jnp.full_like(grid, 0.7), 0.4))
    np.testing.assert_allclose(density.sum() * (grid[1] - grid[0]), 1, rtol=1e-6)


def test_probabilities_of_all_binary_vectors_add_up_to_1():
    vectors = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32)
    logits = np.broadcast_to(np.float32([-3, 0, 1, 20]), vectors.shape)
    log_probabilities = losses.bernoulli_log_likelihood(vectors, logits)
    np.testing.assert_allclose(jnp.exp(log_probabilities).sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("function", ALL)
def test_unobserved_entries_are_marginalised_whatever_they_hold(function):
    rng = np.random.default_rng(0)
    targets = (rng.uniform(size=(4, 5)) < 0.5).astype(np.float32)
    mean = rng.normal(size=(4, 5)).astype(np.float32)
    entries = rng.uniform(size=(4, 5)) < 0.6
    entries[1] = False
    broken = np.where(entries, targets, np.float32(np.nan))

    value, slope = jax.jit(
        jax.value_and_grad(lambda mean: function(broken, mean, entries=entries).sum())
    )(mean)
    each = function(targets.reshape(-1, 1), mean.reshape(-1, 1)).reshape(4, 5)
    np.testing.assert_allclose(value, each[entries].sum(), rtol=1e-6)
    assert np.isfinite(slope).all()
    assert not slope[~entries].any()
    assert function(broken, mean, entries=entries)[1] == 0


def test_parameters_broadcast_and_a_number_keeps_the_dtype(x64):
    x, mean = np.random.default_rng(0).normal(size=(2, 3, 2)).astype(np.float32)
    expected = losses.gaussian_log_likelihood(x, mean, np.full((3, 2), 0.3, np.float32))
    for log_variance in (0.3, np.float32(0.3) * np.ones(2, np.float32), jnp.full(1, 0.3, "f4")):
        got = losses.gaussian_log_likelihood(x, mean, log_variance)
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == "float32"


def test_extremes_are_exact():
    got = losses.gaussian_log_likelihood(np.zeros((2, 1), "f4"), np.zeros((2, 1), "f4"), 80.0)
    np.testing.assert_allclose(got, stats.norm.logpdf(0, 0, np.exp(40.0)), rtol=1e-6)
    tiny = losses.gaussian_log_likelihood(
        np.full((1, 1), 1e-20, "f4"), np.zeros((1, 1), "f4"), -92.0
    )
    np.testing.assert_allclose(tiny, stats.norm.logpdf(1e-20, 0, np.exp(-46.0)), rtol=1e-5)
    logits = np.array([[50.0], [-50.0], [1e4], [-1e4]], np.float32)
    got = losses.bernoulli_log_likelihood(np.ones((4, 1), "f4"), logits)
    np.testing.assert_allclose(got, [-np.exp(-50.0), -50, 0, -1e4], rtol=1e-6)


def test_draws_come_by_vmap():
    x, means = np.zeros((3, 2), np.float32), np.ones((5, 3, 2), np.float32)
    got = jax.vmap(lambda mean: losses.gaussian_log_likelihood(x, mean))(means)
    np.testing.assert_allclose(got, np.full((5, 3), -1 - np.log(2 * np.pi)), rtol=1e-6)


def test_shapes_that_do_not_fit_are_refused(no_jaxtyping):
    x = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match=r"`log_variance` must broadcast to .*\(3, 2\), got .*3,"):
        losses.gaussian_log_likelihood(x, x, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"`entries` must be boolean .* got float32"):
        losses.gaussian_log_likelihood(x, x, entries=x)
