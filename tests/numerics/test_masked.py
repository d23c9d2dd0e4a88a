"""Masked reductions equal NumPy on the kept entries alone; dropped payloads have no influence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import numerics

RNG = np.random.default_rng(0)
PAYLOADS = [np.nan, np.inf, -np.inf, 1e30]
REDUCTIONS = {
    "sum": (numerics.masked_sum, np.sum, 0.0),
    "mean": (numerics.masked_mean, np.mean, 0.0),
    "var": (numerics.masked_var, np.var, 0.0),
    "max": (numerics.masked_max, np.max, 0.0),
    "min": (numerics.masked_min, np.min, 0.0),
    "logsumexp": (
        numerics.masked_logsumexp,
        lambda x: np.log(np.sum(np.exp(x - x.max()))) + x.max(),
        -np.inf,
    ),
}


def oracle(function, empty, x, where):
    rows = zip(x.astype(np.float64), where, strict=True)
    return np.array([function(row[keep]) if keep.any() else empty for row, keep in rows])


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 60.0])
def test_reduction_equals_numpy_on_what_is_kept(name, scale):
    function, reference, empty = REDUCTIONS[name]
    x = (scale * RNG.normal(size=(20, 7)) + scale).astype(np.float32)
    where = RNG.random((20, 7)) < 0.5
    where[0], where[1] = False, True
    expected = oracle(reference, empty, x, where)
    reduce = jax.jit(lambda x, where: function(x, where, axis=1))
    # A float32 sum of seven terms that may cancel: absolute error against the largest term.
    for payload in PAYLOADS:
        got = reduce(np.where(where, x, np.float32(payload)), where)
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6 * scale)


@pytest.mark.parametrize("name", [*REDUCTIONS, "softmax"])
def test_dropped_payload_never_reaches_the_gradient(name):
    function = REDUCTIONS[name][0] if name in REDUCTIONS else numerics.masked_softmax
    x = RNG.normal(size=(6, 5)).astype(np.float32)
    where = RNG.random((6, 5)) < 0.5
    where[0] = False

    def total(x):
        out = function(x, where, axis=1)
        return jnp.sum(jnp.where(jnp.isfinite(out), out, 0) ** 2)

    gradient = jax.jit(jax.grad(total))
    clean = gradient(np.where(where, x, 0))
    assert np.isfinite(clean).all()
    np.testing.assert_array_equal(np.where(where, 0, clean), 0)
    for payload in PAYLOADS:
        np.testing.assert_array_equal(gradient(np.where(where, x, np.float32(payload))), clean)


def test_softmax_is_that_of_the_kept_subset():
    x = (30 * RNG.normal(size=(20, 6))).astype(np.float32)
    where = RNG.random((20, 6)) < 0.5
    where[0] = False
    got = np.asarray(numerics.masked_softmax(np.where(where, x, np.float32(np.nan)), where))
    for row, keep, weights in zip(x.astype(np.float64), where, got, strict=True):
        exponentials = np.exp(row[keep] - row[keep].max(initial=-np.inf))
        expected = exponentials / exponentials.sum()
        # The device flushes numbers below the smallest normal one to zero.
        np.testing.assert_allclose(weights[keep], expected, rtol=1e-5, atol=1.2e-38)
        np.testing.assert_array_equal(weights[~keep], 0)


def test_float64_gradients(x64):
    x = jnp.asarray(RNG.normal(size=(4, 5)))
    where = RNG.random((4, 5)) < 0.7
    where[:, 0] = True

    @jax.jit
    def reductions(x):
        return [REDUCTIONS[k][0](x, where, axis=1) for k in ("sum", "mean", "var", "logsumexp")]

    check_grads(reductions, (x,), order=2, modes=["rev"], rtol=1e-6)


def test_bfloat16_accumulates_in_float32():
    x = jnp.asarray(1 + RNG.random((1, 4096)), jnp.bfloat16)
    exact = np.asarray(x, np.float64).mean()
    got = numerics.masked_mean(x, np.ones((1, 4096), bool))
    assert got.dtype == jnp.bfloat16
    assert abs(float(got) - exact) <= 2**-8 * exact


def test_variance_keeps_its_digits_far_from_zero():
    x = (1e3 + RNG.normal(size=(5000,))).astype(np.float32)
    got = numerics.masked_var(x, np.ones(5000, bool))
    np.testing.assert_allclose(got, np.var(x.astype(np.float64)), rtol=1e-5)


def test_everything_runs_strict(strict):
    x = jnp.ones((2, 3), jnp.float32)
    where = jnp.zeros((2, 3), bool)
    for function, _, empty in REDUCTIONS.values():
        np.testing.assert_array_equal(function(x, where, axis=1), empty)
    np.testing.assert_array_equal(
        numerics.zero_absent(x, jnp.array([True, False])), [[1] * 3, [0] * 3]
    )
