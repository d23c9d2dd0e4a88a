"""Joint moments: one shot, streamed, merged and across devices are one and the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from crossmodal_jax import numerics

DIMS = (3, 5, 2)


def data(n, mean=0.0, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(4, sum(DIMS)))
    rows = mean + rng.normal(size=(n, 4)) @ mixing / 2 + 0.5 * rng.normal(size=(n, sum(DIMS)))
    return [x.astype(np.float32) for x in np.split(rows, np.cumsum(DIMS)[:-1], axis=1)]


def assert_moments(got, xs, rtol):
    rows = np.concatenate(xs, axis=1).astype(np.float64)
    covariance = np.cov(rows.T, ddof=0)
    blocks = np.split(np.arange(rows.shape[1]), np.cumsum(DIMS)[:-1])
    assert got.count == len(rows)
    for i, a in enumerate(blocks):
        np.testing.assert_allclose(got.means[i], rows.mean(0)[a], rtol=2e-7, atol=rtol)
        for j, b in enumerate(blocks):
            expected = covariance[np.ix_(a, b)]
            np.testing.assert_allclose(
                numerics.covariance(got, i, j), expected, rtol=0, atol=2 * rtol
            )


@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_one_shot_equals_numpy(mean):
    xs = data(4000, mean)
    # A float32 sum of 4,000 products, each near 1.
    assert_moments(jax.jit(numerics.moments)(xs), xs, rtol=3e-6)


@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_streamed_chunks_equal_the_whole(mean):
    xs = data(4000, mean)
    update = jax.jit(numerics.update_moments)
    state = numerics.init_moments(DIMS)
    for start in range(0, 4000, 500):
        state = update(state, [x[start : start + 500] for x in xs])
    # Variances near 1: 1e-6 is a dozen roundings of float32, and none of the mean of 1e3.
    assert_moments(state, xs, rtol=1e-6)


def test_merge_is_symmetric_and_takes_empty_sides():
    xs, ys = data(70, 2.0), data(30, -1.0, seed=1)
    a, b = jax.jit(numerics.moments)(xs), jax.jit(numerics.moments)(ys)
    merge = jax.jit(numerics.merge_moments)
    both = [np.concatenate(pair) for pair in zip(xs, ys, strict=True)]
    for merged in (merge(a, b), merge(b, a)):
        assert_moments(merged, both, rtol=1e-5)
    empty = numerics.init_moments(DIMS)
    for merged in (merge(a, empty), merge(empty, a)):
        assert_moments(merged, xs, rtol=1e-5)


def test_dropped_rows_equal_deleted_rows():
    xs = data(101)
    keep = np.random.default_rng(2).random(101) < 0.6
    poisoned = [np.where(keep[:, None], x, np.float32(np.nan)) for x in xs]
    assert_moments(numerics.moments(poisoned, where=keep), [x[keep] for x in xs], rtol=1e-5)
    nothing = numerics.moments(poisoned, where=np.zeros(101, bool))
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(nothing))


def test_gradient_ignores_dropped_rows():
    xs = data(20)
    keep = np.arange(20) < 12

    def total(x):
        m = numerics.moments([x, *xs[1:]], where=keep)
        return jnp.sum(numerics.covariance(m, 0, 0)) + jnp.sum(numerics.covariance(m, 0, 1))

    gradient = jax.jit(jax.grad(total))
    clean = gradient(jnp.asarray(xs[0]))
    np.testing.assert_array_equal(clean[12:], 0)
    poisoned = jnp.asarray(np.where(keep[:, None], xs[0], np.float32(np.inf)))
    np.testing.assert_array_equal(gradient(poisoned), clean)


@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_eight_devices_equal_one(mean):
    xs = data(64, mean)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    local = lambda *xs: numerics.psum_moments(numerics.moments(xs), "data")
    got = jax.jit(jax.shard_map(local, mesh=mesh, in_specs=P("data"), out_specs=P()))(*xs)
    assert_moments(got, xs, rtol=1e-6)


def test_float64_is_exact(x64):
    xs = [x.astype(np.float64) for x in data(300, 1e3)]
    got = jax.jit(numerics.moments)(xs)
    assert got.means[0].dtype == jnp.float64
    assert_moments(got, xs, rtol=1e-11)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: numerics.moments([np.ones((3, 1)), np.ones((2, 1))]), "same number of rows"),
        (lambda: numerics.moments([np.ones((3, 1))], where=np.ones(2, bool)), "must have shape"),
        (
            lambda: numerics.merge_moments(
                numerics.init_moments((2,)), numerics.init_moments((3,))
            ),
            "same widths",
        ),
    ],
)
def test_bad_shapes_are_named(no_jaxtyping, call, words):
    with pytest.raises(ValueError, match=words):
        call()
