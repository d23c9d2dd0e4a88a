"""Alignment and uniformity: edges of the powers, exact pairs, bounded memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.special import logsumexp

from crossmodal_jax.losses import alignment_loss, uniformity_loss


@functools.cache
def uniformity():
    """Value and gradient, compiled once for each shape."""
    function = lambda x, scale, where: uniformity_loss(x, scale=scale, where=where)
    return jax.jit(jax.value_and_grad(function))


def definition(x, scale):
    squares = pdist(x.astype(np.float64), "sqeuclidean")
    return logsumexp(-scale * squares) - np.log(len(squares))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 3.0])
def test_equal_pairs_have_gradient_zero(power, strict):
    x = np.float32([[1, 2], [3, -1], [0, 0]])
    y = np.float32([[1, 2], [0, 3], [0, 0]])
    value, pull = jax.vjp(lambda x: alignment_loss(x, y, power=power), x)
    np.testing.assert_allclose(value, [0, 5**power, 0], rtol=1e-6)
    slope = pull(np.ones(3, np.float32))[0]
    expected = power * 5 ** (power - 2) * (x - y)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_square_has_its_second_derivative_at_equal_pairs():
    x = jnp.ones(2)
    hessian = jax.jit(jax.hessian(lambda x: alignment_loss(x[None], jnp.ones((1, 2)))[0]))
    np.testing.assert_array_equal(hessian(x), 2 * np.eye(2))


def test_power_must_be_positive():
    x = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"alignment_loss: `power` must be positive, got 0\.0; "):
        alignment_loss(x, x, power=0.0)


@pytest.mark.parametrize(("n", "scale"), [(2, 2.0), (40, 0.1), (299, 2.0)])
def test_slabs_are_the_mean_over_pairs(n, scale, x64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))  # not a multiple of a slab, and more than one
    keep = rng.permutation(300) < n
    value, slope = uniformity()(x, scale, keep)
    np.testing.assert_allclose(value, definition(x[keep], scale), rtol=1e-12)

    def by_hand(x):
        difference = x[:, None] - x
        weight = np.exp(-scale * np.sum(difference**2, axis=-1)) * (1 - np.eye(n))
        return -4 * scale * np.sum(weight[..., None] * difference, axis=1) / weight.sum()

    np.testing.assert_allclose(slope[keep], by_hand(x[keep]), rtol=1e-9, atol=1e-12)


def test_edges():
    keep = np.ones(6, bool)
    same = np.full((6, 3), 0.7, np.float32)
    value, slope = uniformity()(same, 2.0, keep)  # all pairs at distance 0
    np.testing.assert_allclose(value, 0, atol=1e-6)
    assert np.isfinite(slope).all()
    # Were the pairs with themselves in it, far rows would have a loss of about −log 5.
    far = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    for x, scale in ((100 * far, 100.0), (far + 1e3, 2.0)):
        value, slope = uniformity()(x, scale, keep)
        np.testing.assert_allclose(value, definition(x, scale), rtol=1e-5)
        assert np.isfinite(slope).all()
    for keep in (np.arange(6) == 2, np.zeros(6, bool)):
        value, slope = uniformity()(far, 2.0, keep)
        assert value == 0
        assert not slope.any()


def test_memory_is_that_of_slabs():
    rows = jax.ShapeDtypeStruct((8192, 16), jnp.float32)
    compiled = jax.jit(jax.value_and_grad(uniformity_loss)).lower(rows).compile()
    # A quarter of the matrix of distances.
    assert compiled.memory_analysis().temp_size_in_bytes < 2**28 / 4
