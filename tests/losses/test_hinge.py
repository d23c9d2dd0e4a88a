"""The hinge and triplet losses: analytic values, norms, ties and zero distances."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import losses


def _embeddings(n, d, a):
    i, j = np.arange(n)[:, None], np.arange(d)
    z = np.sin(1 + a * i + 0.7 * j) + 0.1 * np.cos(i * j)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


@pytest.mark.parametrize("hardest", [False, True])
def test_analytic_value_is_the_sum_over_pairs(hardest, x64):
    # No row nor column has two negatives within the margin, so that both forms agree.
    x, y = _embeddings(6, 4, 0.9), _embeddings(6, 4, 1.1)
    loss = losses.hinge_loss(x, y, margin=0.2, hardest=hardest)
    np.testing.assert_allclose(loss.sum(), 3.096508, rtol=0, atol=5e-7)


def test_duplicates_of_a_match_cost_the_margin():
    x = np.ones((4, 3), np.float32)
    run = jax.jit(losses.hinge_loss, static_argnames="hardest")
    np.testing.assert_allclose(run(x, x, margin=0.25), np.full(4, 6 * 0.25), rtol=1e-5)
    np.testing.assert_allclose(run(x, x, margin=0.25, hardest=True), np.full(4, 0.5), rtol=1e-5)


def test_gradient_of_the_hardest_is_that_of_one_pair(x64):
    # y[1] is nearest to x[0], and beyond the margin nothing else is.
    x, y = np.eye(3), np.array([[0.6, 0.9, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    total = lambda x, y: jnp.sum(losses.hinge_loss(x, y, margin=0.2, hardest=True))
    slopes = jax.jit(jax.grad(total, (0, 1)))(x, y)
    # Both directions of pair 0 are hinges of x[0] with y[1], and of y[0] with x[1]; pair 1 has
    # that of x[1] with y[0].
    violations = [(0, 0, 0, 1), (0, 0, 1, 0), (1, 1, 1, 0)]
    expected = np.zeros((2, 3, 3))
    for i, j, k, m in violations:
        assert 0.2 - x[i] @ y[j] + x[k] @ y[m] > 0
        expected[0][i] -= y[j]
        expected[0][k] += y[m]
        expected[1][j] -= x[i]
        expected[1][m] += x[k]
    np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-12)


@functools.cache
def triplets(p):
    loss = functools.partial(losses.triplet_loss, p=p)
    total = lambda *sides: (jnp.sum(loss(*sides)), loss(*sides))
    return jax.jit(jax.value_and_grad(total, (0, 1, 2), has_aux=True))


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_norms_of_any_order(p):
    a, b, c = np.random.default_rng(0).normal(size=(3, 2, 5, 4)).astype(np.float32)
    b[1, 4] = a[1, 4]  # no distance at all
    (_, got), slopes = triplets(p)(a, b, c)
    distance = lambda z: np.linalg.norm(np.float64(a) - z, ord=p, axis=-1)
    expected = np.maximum(distance(b) - distance(c) + 1, 0)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    (_, negated), opposite = triplets(p)(-a, -b, -c)
    np.testing.assert_array_equal(negated, got)
    jax.tree.map(lambda g, h: np.testing.assert_array_equal(g, -h), slopes, opposite)
    assert np.isfinite(slopes).all()
    assert not slopes[1][1, 4].any()


def test_large_entries_do_not_overflow():
    far = np.full((1, 2), 1e30, np.float32)
    (_, loss), slopes = triplets(3)(np.zeros((1, 2), np.float32), far, far / 2)
    np.testing.assert_allclose(loss, 2 ** (1 / 3) * 5e29, rtol=1e-5)
    assert np.isfinite(slopes).all()


def test_bad_arguments_are_refused(no_jaxtyping):
    x = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"triplet_loss: `p` must be a number from 1 on, got 0.5"):
        losses.triplet_loss(x, x, x, p=0.5)
    with pytest.raises(
        ValueError, match=r"hinge_loss: .* one shape \[n, d\], got .*y.shape=\(3, 4"
    ):
        losses.hinge_loss(x, jnp.ones((3, 4)))
