"""Polar factor and singular value decomposition: values, and gradients at repeated values."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from crossmodal_jax import numerics

SHAPES = [(4, 4), (6, 3), (3, 6), (5, 1)]


def matrix(m, n, values=None):
    """A matrix with given singular values, or any."""
    rng = np.random.default_rng(m + 10 * n)
    if values is None:
        return rng.normal(size=(m, n))
    u, v = (np.linalg.qr(rng.normal(size=(d, len(values))))[0] for d in (m, n))
    return u * np.asarray(values, float) @ v.T


def reflection():
    """A square matrix of negative determinant."""
    a = matrix(4, 4, [3.0, 2.0, 1.0, 0.5])
    return a * np.array([-np.sign(np.linalg.det(a)), 1, 1, 1])


def assert_derivative(value_and_grad, a, direction, step=1e-5):
    """The gradient along a direction equals the central difference."""
    ahead, behind = (value_and_grad(a + s * direction)[0] for s in (step, -step))
    got = np.sum(np.asarray(value_and_grad(a)[1]) * direction)
    np.testing.assert_allclose(got, (ahead - behind) / (2 * step), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_polar_factor_matches_scipy(shape, x64):
    a = matrix(*shape)
    q = np.asarray(jax.jit(numerics.polar_factor)(a))
    np.testing.assert_allclose(q, scipy.linalg.polar(a)[0], atol=1e-12)
    short = q if shape[0] <= shape[1] else q.T
    np.testing.assert_allclose(short @ short.T, np.eye(min(shape)), atol=1e-12)


def test_special_factor_is_the_best_rotation(x64):
    a = reflection()
    assert np.linalg.det(a) < 0
    q = np.asarray(numerics.polar_factor(a, special=True))
    np.testing.assert_allclose(q @ q.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(q), 1, atol=1e-12)
    # tr(QᵀA) = σ₁ + σ₂ + σ₃ − σ₄, which no rotation exceeds.
    np.testing.assert_allclose(np.sum(q * a), 5.5, atol=1e-12)
    others = scipy.stats.special_ortho_group.rvs(4, 200, random_state=0)
    assert (np.sum(others * a, axis=(1, 2)) <= 5.5).all()
    flipped = a * np.array([-1, 1, 1, 1])
    both = [numerics.polar_factor(flipped, special=s) for s in (True, False)]
    np.testing.assert_array_equal(*both)


# (matrix, special); repeated values, and for a rotation one value 0, are no exception.
SMOOTH = [
    *((matrix(*shape), False) for shape in SHAPES),
    (matrix(4, 4, [2.0, 2.0, 2.0, 2.0]), False),
    (matrix(6, 3, [2.0, 2.0, 1.0]), False),
    (reflection(), False),
    (reflection(), True),
    (matrix(4, 4, [2.0, 2.0, 1.0, 0.0]), True),
]


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.value_and_grad, argnums=0)
def polar_loss(a, weights, special):
    return jnp.sum(weights * numerics.polar_factor(a, special=special))


@pytest.mark.parametrize(("a", "special"), SMOOTH)
def test_gradient_of_the_polar_factor_matches_differences(a, special, x64):
    weights, direction = np.random.default_rng(0).normal(size=(2, *a.shape))
    assert_derivative(lambda a: polar_loss(a, weights, special), a, direction)


def test_polar_factor_is_differentiated_forwards_and_mapped(x64):
    a, direction = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    derivative = lambda a, d: jax.jvp(numerics.polar_factor, (a,), (d,))[1]
    got = jax.jit(jax.vmap(derivative))(a, direction)
    step = 1e-6 * direction
    factors = jax.vmap(numerics.polar_factor)
    np.testing.assert_allclose(got, (factors(a + step) - factors(a - step)) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("a", [np.zeros((3, 3)), np.ones((4, 2)), np.eye(3), -np.eye(3)])
@pytest.mark.parametrize("special", [False, True])
def test_degenerate_matrices_have_finite_factors_and_gradients(a, special, strict):
    a = a.astype(np.float32)
    target = matrix(*a.shape).astype(np.float32)
    loss = lambda a: jnp.sum(target * numerics.polar_factor(a, special=special))
    value, gradient = jax.jit(jax.value_and_grad(loss))(a)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.value_and_grad, argnums=0)
def pairs_loss(a, weights, k):
    """Of products in which the free signs of the vectors cancel."""
    u, s, v = numerics.safe_svd(a)
    u, s, v = u[:, :k], s[:k], v[:, :k]
    order = jnp.arange(1.0, 1 + k)
    products = (u * order) @ u.T, s, (v * order) @ v.T, (u * order) @ v.T
    return sum(jnp.sum(jnp.sin(p) * w) for p, w in zip(products, weights, strict=False))


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.value_and_grad, argnums=0)
def subspace_loss(a, weights, k):
    """Of what does not change when the vectors of one value are rotated."""
    u, s, v = numerics.safe_svd(a)
    u, v = u[:, :k], v[:, :k]
    products = u @ u.T, v @ v.T, u @ v.T, u @ (u.T @ a), jnp.sum(s[:k])
    return sum(jnp.sum(jnp.sin(p) * w) for p, w in zip(products, weights, strict=False))


@pytest.mark.parametrize("shape", SHAPES)
def test_svd_and_its_gradient_at_distinct_values(shape, x64):
    a, k = matrix(*shape), min(shape)
    u, s, v = numerics.safe_svd(a)
    np.testing.assert_allclose(s, np.linalg.svd(a, compute_uv=False), atol=1e-12)
    np.testing.assert_allclose(u * s @ v.T, a, atol=1e-12)
    weights = np.random.default_rng(0).normal(size=5)
    direction = np.random.default_rng(1).normal(size=shape)
    assert_derivative(lambda a: pairs_loss(a, weights, k), a, direction)


@pytest.mark.parametrize(
    ("values", "k"),
    [([2.0, 2.0, 1.0, 1.0], 2), ([3.0, 2.0, 1.0, 1.0], 4), ([3.0, 2.0, 0.0, 0.0], 2)],
)
@pytest.mark.parametrize("shape", [(4, 4), (6, 4)])
def test_gradient_of_a_subspace_at_repeated_values(values, k, shape, x64):
    a = matrix(*shape, values)
    weights = np.random.default_rng(0).normal(size=5)
    direction = np.random.default_rng(1).normal(size=shape)
    for b, d in ((a, direction), (a.T, direction.T)):
        assert_derivative(lambda b: subspace_loss(b, weights, k), b, d)


@pytest.mark.slow
@pytest.mark.parametrize("a", [np.zeros((3, 2)), np.eye(3), np.ones((2, 4))])
def test_gradients_of_the_vectors_are_finite_at_repeated_values(a, strict):
    weights = np.ones(5, np.float32)
    assert np.isfinite(pairs_loss(a.astype(np.float32), weights, 2)[1]).all()
