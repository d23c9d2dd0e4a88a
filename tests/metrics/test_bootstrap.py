import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from crossmodal_jax.metrics import bootstrap_interval

KEY = jax.random.key(0)


def test_interval_of_a_mean_is_binomial():
    # 40 hits of 100: the resampled share is Binomial(100, 0.4) / 100.
    values = (jnp.arange(100) < 40).astype(jnp.float32)
    low, high = jax.jit(bootstrap_interval, static_argnames="num_resamples")(
        KEY, values, num_resamples=20_000
    )
    expected = scipy.stats.binom(100, 0.4).ppf([0.025, 0.975]) / 100
    np.testing.assert_allclose([low, high], expected, atol=0.0101)  # one hit to either side


def test_interval_matches_scipy():
    values = np.random.default_rng(1).exponential(size=80).astype(np.float32)
    got = bootstrap_interval(KEY, values, statistic=jnp.median, num_resamples=5000, level=0.8)
    oracle = scipy.stats.bootstrap(
        (values,), np.median, confidence_level=0.8, n_resamples=5000, method="percentile", rng=0
    ).confidence_interval
    np.testing.assert_allclose(got, oracle, rtol=0.05)  # two Monte Carlo estimates


def test_coverage_is_near_the_level():
    truth = 0.3
    draws = jax.random.bernoulli(jax.random.key(1), truth, (400, 200)).astype(jnp.float32)
    interval = lambda key, values: bootstrap_interval(key, values, num_resamples=400)
    low, high = jax.jit(jax.vmap(interval))(jax.random.split(KEY, 400), draws)
    covered = np.mean((low <= truth) & (truth <= high))
    assert 0.91 < covered < 0.985  # 0.95 ± 3 standard errors, and the percentile's own bias


def test_chunks_do_not_change_the_interval(monkeypatch):
    values = jnp.arange(30.0)
    whole = bootstrap_interval(KEY, values, num_resamples=101)
    monkeypatch.setattr("crossmodal_jax.metrics._bootstrap._DRAWN_AT_ONCE", 210)
    np.testing.assert_array_equal(bootstrap_interval(KEY, values, num_resamples=101), whole)


def test_memory_does_not_grow_with_resamples():
    def temp_bytes(num_resamples):
        f = jax.jit(lambda x: bootstrap_interval(KEY, x, num_resamples=num_resamples))
        return f.lower(jnp.zeros(100_000)).compile().memory_analysis().temp_size_in_bytes

    assert temp_bytes(1000) < 1.1 * temp_bytes(100)


def test_only_kept_samples_are_drawn():
    values = np.random.default_rng(2).normal(size=60).astype(np.float32)
    where = np.random.default_rng(3).random(60) < 0.4
    poisoned = np.where(where, values, np.nan)
    got = jax.jit(lambda x, w: bootstrap_interval(KEY, x, where=w, num_resamples=4000))(
        poisoned, where
    )
    alone = bootstrap_interval(KEY, values[where], num_resamples=4000)
    # The draws differ, the distribution does not.
    np.testing.assert_allclose(got, alone, atol=0.1 * (alone[1] - alone[0]))


def test_rows_of_values_give_a_ratio(strict):
    rows = np.stack([np.arange(40), np.full(40, 2)], 1).astype(np.float32)
    ratio = lambda x, where=None: jnp.sum(x[:, 0]) / jnp.sum(x[:, 1])
    low, high = jax.jit(lambda x: bootstrap_interval(KEY, x, statistic=ratio, num_resamples=50))(
        rows
    )
    assert 5 < low < rows[:, 0].mean() / 2 < high < 15


def test_constants_have_no_width_and_nothing_is_zero():
    interval = jax.jit(lambda x, w: bootstrap_interval(KEY, x, where=w, num_resamples=50))
    values = np.full(9, 3, np.float32)
    assert interval(values, np.arange(9) < 5) == (3, 3)
    assert interval(values * np.nan, np.zeros(9, bool)) == (0, 0)


@pytest.mark.parametrize(
    "kwargs", [{"values": jnp.zeros(0)}, {"num_resamples": 0}, {"level": 1.0}, {"level": 95}]
)
def test_bad_arguments_are_named(no_jaxtyping, kwargs):
    arguments = {"values": jnp.zeros(3), **kwargs}
    with pytest.raises(ValueError, match="bootstrap_interval: needs at least one sample"):
        bootstrap_interval(KEY, **arguments)
