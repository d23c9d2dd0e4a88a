"""Distances and positive definite algebra against NumPy and SciPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.test_util import check_grads

from crossmodal_jax import numerics

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_squared_distances(offset):
    x, y = (RNG.normal(size=(n, 6)) + offset for n in (9, 13))
    x, y = x.astype(np.float32), y.astype(np.float32)
    expected = ((x[:, None].astype(np.float64) - y[None]) ** 2).sum(-1)
    np.testing.assert_allclose(numerics.squared_distances(x, y), expected, rtol=1e-5, atol=1e-5)
    assert float(numerics.squared_distances(x, x).min()) >= 0


def test_squared_distances_gradient(x64):
    x, y = jnp.asarray(RNG.normal(size=(4, 3))), jnp.asarray(RNG.normal(size=(5, 3)))
    check_grads(jax.jit(numerics.squared_distances), (x, y), order=1, modes=["rev"], rtol=1e-6)


def test_dot_scores_accumulate_in_float32():
    x = jnp.asarray(1 + RNG.random((3, 2048)), jnp.bfloat16)
    exact = np.asarray(x, np.float64) @ np.asarray(x, np.float64).T
    got = numerics.dot_scores(x, x)
    assert got.dtype == jnp.float32
    # A float32 sum of 2,048 terms; one in bfloat16 would be off by 1e-2.
    np.testing.assert_allclose(got, exact, rtol=1e-5)


def test_solve_and_inverse_cholesky(x64):
    a = RNG.normal(size=(6, 9))
    a = a @ a.T + 0.1 * np.eye(6)
    b = RNG.normal(size=(6, 2))
    np.testing.assert_allclose(numerics.solve_psd(a, b), scipy.linalg.solve(a, b), rtol=1e-10)
    whitening = np.asarray(numerics.inverse_cholesky(a))
    np.testing.assert_allclose(whitening @ a @ whitening.T, np.eye(6), atol=1e-12)
    assert np.all(np.triu(whitening, 1) == 0)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [1.0, 1.0, 4.0], [0.0, 1.0, 1.0]]
)
def test_square_root_and_its_derivative(values, x64):
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    a = (q * values) @ q.T
    root, derivative = jax.jit(lambda a, d: jax.jvp(numerics.sqrt_psd, (a,), (d,)))(a, a @ a)
    np.testing.assert_allclose(root, scipy.linalg.sqrtm(a).real, atol=1e-7)
    np.testing.assert_allclose(root @ root, a, atol=1e-12)
    # Along a direction that commutes with A the derivative is that of the numbers.
    np.testing.assert_allclose(derivative, (q * (np.array(values) ** 1.5 / 2)) @ q.T, atol=1e-9)
    if min(values) > 0:
        b, d = rng.normal(size=(2, 3, 3))
        gradient = jax.jit(jax.grad(lambda a: jnp.sum(b * numerics.sqrt_psd(a))))(a)
        up, down = (numerics.sqrt_psd(a + s * 1e-5 * (d + d.T)) for s in (1, -1))
        expected = np.sum(b * (up - down)) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * (d + d.T)), expected, rtol=1e-7)


def test_square_root_of_nothing_is_finite(strict):
    zero = jnp.zeros((3, 3))
    value, gradient = jax.jit(jax.value_and_grad(lambda a: jnp.sum(numerics.sqrt_psd(a))))(zero)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)
