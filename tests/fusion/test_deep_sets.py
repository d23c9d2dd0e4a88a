"""Deep sets: every pool against NumPy, and what makes a function one of sets."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import fusion

_POOLS = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "median": np.median}
every_pool = pytest.mark.parametrize("pool", _POOLS)


def _weights(dims, dim=4, hidden=None):
    rng = np.random.default_rng(1)
    weights = fusion.init_deep_sets(jax.random.key(0), dims, dim, hidden=hidden)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), weights)


def _case(num, hidden=None):
    """All patterns of presence of `num` modalities, one sample of each."""
    present = np.array(list(itertools.product([False, True], repeat=num)))
    dims = [2 + m % 3 for m in range(num)]
    rng = np.random.default_rng(0)
    return [rng.normal(size=(len(present), d)) for d in dims], _weights(dims, 4, hidden), present


@every_pool
@pytest.mark.parametrize("num", [1, 2, 5])
def test_pools_equal_numpy_on_the_present_subset(pool, num, x64):
    xs, w, present = _case(num, hidden=6)
    for i, row in enumerate(present):
        codes = [
            np.tanh(xs[m][i] @ w.kernels[m] + w.bias) @ w.phi_kernel + w.phi_bias
            for m in np.flatnonzero(row)
        ]
        pooled = _POOLS[pool](codes, axis=0) if codes else np.zeros(6)
        expected = (
            np.tanh(pooled @ w.rho_in_kernel + w.rho_in_bias) @ w.rho_out_kernel + w.rho_out_bias
        )
        sample = [x[i] for x in xs]
        got = fusion.deep_sets(sample, w, present=row, pool=pool)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@every_pool
def test_gradients_of_every_pool(pool, x64):
    xs, weights, present = _case(4)
    apply = jax.jit(functools.partial(fusion.deep_sets, present=present, pool=pool))
    check_grads(apply, (xs, weights), 1, ["fwd", "rev"], atol=1e-7, rtol=1e-7, eps=1e-5)


@pytest.mark.slow
@every_pool
def test_ties_and_the_payload_of_the_absent_do_no_harm(pool, strict):
    xs, weights, present = _case(4)
    weights = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), weights)
    # Modalities that are all the same tie in every unit.
    kernels = (jnp.ones((2, 4), jnp.float32),) * 4
    xs = [np.where(present[:, m, None], np.float32(1), np.nan) for m in range(4)]
    xs = [np.repeat(x, 2, axis=1).astype(np.float32) for x in xs]

    @jax.jit
    def fused(xs):
        ties = weights._replace(kernels=kernels)
        return fusion.deep_sets(xs, ties, present=present, pool=pool)

    values = fused(xs)
    if pool != "sum":
        same = np.broadcast_to(values[1], values[1:].shape)
        np.testing.assert_allclose(values[1:], same, rtol=1e-5, atol=1e-5)
    for m, slope in enumerate(jax.jit(jax.grad(lambda xs: jnp.sum(fused(xs))))(xs)):
        assert jnp.isfinite(slope).all()
        assert not slope[~present[:, m]].any()


@every_pool
def test_order_is_of_no_consequence_and_one_alone_is_rho_of_phi(pool, x64):
    xs, weights, present = _case(4)
    order = [2, 0, 3, 1]
    moved = weights._replace(kernels=tuple(weights.kernels[m] for m in order))
    got = fusion.deep_sets([xs[m] for m in order], moved, present=present[:, order], pool=pool)
    expected = fusion.deep_sets(xs, weights, present=present, pool=pool)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    alone = np.arange(4) == 2
    all_pools = [fusion.deep_sets(xs, weights, present=alone, pool=other) for other in _POOLS]
    np.testing.assert_allclose(all_pools, np.stack([all_pools[0]] * 5), rtol=0, atol=1e-12)


def test_median_ignores_one_wild_modality_of_three(x64):
    # Units pass φ unchanged for small numbers; the wild one is at the bound of tanh.
    tiny = 1e-6
    eye, zero = jnp.eye(1), jnp.zeros(1)
    weights = fusion.DeepSetsWeights((eye,) * 3, zero, eye, zero, eye, zero, eye, zero)
    xs = [jnp.asarray([value]) for value in (tiny, 1e9, 3 * tiny)]
    got = fusion.deep_sets(xs, weights, pool="median")
    np.testing.assert_allclose(got, [3 * tiny], rtol=1e-10)
    even = fusion.deep_sets(xs, weights, pool="median", present=jnp.array([True, False, True]))
    np.testing.assert_allclose(even, [2 * tiny], rtol=1e-10)


@every_pool
def test_initial_scale_does_not_depend_on_the_pool(pool):
    for num in (1, 2, 6):
        xs = [jax.random.normal(jax.random.key(m), (256, 16)) for m in range(num)]
        weights = fusion.init_deep_sets(jax.random.key(9), (16,) * num, 64)
        assert 1 / 3 < jnp.mean(fusion.deep_sets(xs, weights, pool=pool) ** 2) < 3


def test_an_unknown_pool_and_a_bad_width_are_refused():
    weights = fusion.init_deep_sets(jax.random.key(0), (3,), 4)
    with pytest.raises(ValueError, match=r"^deep_sets: `pool` must be .+, got 'medain'; did you m"):
        fusion.deep_sets([jnp.ones(3)], weights, pool="medain")
    with pytest.raises(ValueError, match=r"^init_deep_sets: `hidden` must be at least 1, got 0;"):
        fusion.init_deep_sets(jax.random.key(0), (3,), 4, hidden=0)
