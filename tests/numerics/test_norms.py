"""Norms and divisions against NumPy float64, and at the edges where plain forms fail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import numerics

SCALES = [1e-30, 1e-3, 1.0, 1e6, 1e30]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("axis", [-1, 0])
def test_norm_and_normalize_match_float64(scale, axis):
    x = np.random.default_rng(0).normal(size=(7, 5)) * scale
    norm = np.linalg.norm(x, axis=axis, keepdims=True)
    x32 = x.astype(np.float32)
    got = numerics.safe_norm(x32, axis=axis, keepdims=True)
    np.testing.assert_allclose(got, norm, rtol=1e-6)  # float32 sums of 7 squares
    np.testing.assert_allclose(numerics.normalize(x32, axis=axis), x / norm, rtol=1e-6)
    assert numerics.safe_norm(x32, axis=axis).shape == np.squeeze(norm, axis).shape


@pytest.mark.parametrize("scale", SCALES)
def test_gradients_are_those_of_the_formula(scale):
    x = (np.random.default_rng(1).normal(size=(6,)) * scale).astype(np.float32)
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64))
    np.testing.assert_allclose(jax.grad(numerics.safe_norm)(x), unit, rtol=1e-5)
    got = jax.jacobian(numerics.normalize)(x)
    expected = (np.eye(6) - np.outer(unit, unit)) / np.linalg.norm(x.astype(np.float64))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_second_order_gradients(x64):
    x = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4)))

    @jax.jit
    def all_three(x):
        return numerics.safe_norm(x), numerics.normalize(x), numerics.signed_sqrt(x)

    check_grads(all_three, (x,), order=2, modes=["rev"], rtol=1e-5)


def test_zero_vectors_have_zero_value_and_gradient(strict):
    zero = jnp.zeros((2, 3), jnp.float32)
    for function in (numerics.safe_norm, numerics.normalize, numerics.signed_sqrt):
        value, gradient = jax.value_and_grad(lambda x, f=function: jnp.sum(f(x)))(zero)
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


def test_bfloat16_is_computed_in_float32():
    x = np.random.default_rng(3).normal(size=(5, 300))
    rounded = jnp.asarray(x, jnp.bfloat16)
    exact = np.asarray(rounded, np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    got = numerics.normalize(rounded)
    assert got.dtype == jnp.bfloat16
    # One rounding of the result: half a unit in the last of 8 bits.
    np.testing.assert_allclose(np.asarray(got, np.float64), exact, rtol=2**-8)


def test_safe_divide_is_zero_where_the_denominator_is(strict):
    x, y = jnp.array([1.0, 2.0], jnp.float32), jnp.array([0.0, 4.0], jnp.float32)
    np.testing.assert_array_equal(numerics.safe_divide(x, y), [0, 0.5])
    gradient = jax.grad(lambda x, y: jnp.sum(numerics.safe_divide(x, y)), argnums=(0, 1))(x, y)
    np.testing.assert_array_equal(gradient, [[0, 0.25], [0, -0.125]])


def test_signed_sqrt_is_odd_and_squares_back():
    x = np.linspace(-9, 9, 13, dtype=np.float32)
    root = numerics.signed_sqrt(x)
    np.testing.assert_allclose(root * np.abs(root), x, rtol=1e-6)
