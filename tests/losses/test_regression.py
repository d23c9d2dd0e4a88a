"""Errors with masks of single entries, at their corners; agreement and refinement."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import losses


@pytest.mark.parametrize(
    "function", [losses.squared_error, losses.absolute_error, losses.huber_loss]
)
def test_the_mean_is_over_the_kept_entries_only(function):
    rng = np.random.default_rng(0)
    x, y = 2 * rng.normal(size=(2, 4, 5)).astype(np.float32)
    entries = rng.uniform(size=(4, 5)) < 0.5
    entries[1] = False
    entries[2] = np.arange(5) == 3
    broken = np.where(entries, y, np.float32(np.nan))

    loss = lambda x, y, entries: function(x, y, entries=entries)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(loss)))(x, broken, entries)
    for row in (0, 2, 3):
        kept = entries[row]
        alone = function(x[row, kept][None], y[row, kept][None])
        np.testing.assert_allclose(value[row : row + 1], alone, rtol=1e-6)
    assert value[1] == 0
    assert np.isfinite(slope).all()
    assert not slope[~entries].any()


def test_huber_is_both_others_and_its_slope_never_exceeds_delta(x64):
    x, zeros = np.array([[-3.0], [-1.5], [0.0], [0.7], [1.5], [4.0]]), np.zeros((6, 1))
    squared = losses.huber_loss(x, zeros, delta=100.0)
    np.testing.assert_allclose(squared, losses.squared_error(x, zeros) / 2, rtol=1e-12)
    absolute = losses.huber_loss(x, zeros, delta=1e-12) / 1e-12
    np.testing.assert_allclose(absolute, losses.absolute_error(x, zeros), rtol=1e-11)
    slope = jax.grad(lambda x: losses.huber_loss(x, zeros, delta=1.5).sum())(x)
    np.testing.assert_allclose(slope, np.clip(x, -1.5, 1.5), rtol=1e-12)
    slope = jax.grad(lambda x: losses.absolute_error(x, zeros).sum())(x)
    np.testing.assert_allclose(slope, np.sign(x), rtol=1e-12)
    slope = jax.grad(lambda x: losses.laplace_log_likelihood(zeros, x).sum())(x)
    np.testing.assert_allclose(slope, -np.sign(x), rtol=1e-12)


def test_cosine_needs_no_length():
    x = np.array([[3.0, 4.0], [3e30, 4e30], [3e-30, 4e-30], [0.0, 0.0]], np.float32)
    y = np.tile(np.float32([4.0, 3.0]), (4, 1))
    run = jax.jit(jax.vmap(jax.value_and_grad(losses.cosine_loss, (0, 1))))
    value, (by_x, by_y) = run(x, y)
    np.testing.assert_allclose(value, [0.04, 0.04, 0.04, 1], rtol=1e-5)
    assert not by_x[3].any()
    assert not by_y[3].any()
    assert np.isfinite(by_x).all()


def test_agreement_is_that_of_probabilities():
    x = np.array([[1.0, 0.0], [1.0, 0.0], [7.0, 6.0], [1e4, -1e4]], np.float32)
    y = np.array([[0.0, 1.0], [3.0, 2.0], [0.0, 1.0], [-1e4, 1e4]], np.float32)
    # For log-odds a and b it is (σ(a) − σ(b)) (a − b).
    a, b = (np.float64(z[:, 0] - z[:, 1]) for z in (x, y))
    expected = (np.tanh(a / 2) - np.tanh(b / 2)) / 2 * (a - b)
    np.testing.assert_allclose(losses.symmetric_divergence(x, y), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(
        losses.symmetric_divergence(x, y), losses.symmetric_divergence(y, x)
    )


def test_refinement_sums_over_present_modalities_of_any_width():
    rng = np.random.default_rng(0)
    present = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]], bool)
    xs, refined = ([rng.normal(size=(4, d)).astype("f4") for d in (2, 5, 3)] for _ in range(2))
    unit = [[x / np.linalg.norm(x, axis=1, keepdims=True) for x in side] for side in (xs, refined)]
    cosines = np.stack([(x * r).sum(axis=1) for x, r in zip(*unit, strict=True)], axis=1)
    expected = np.where(present, 1 - cosines, 0).sum(axis=1)
    broken = [
        [np.where(present[:, [m]], x, np.float32(np.nan)) for m, x in enumerate(side)]
        for side in (refined, xs)
    ]

    @jax.jit
    def run(refined, xs):
        function = lambda *sides: losses.refinement_loss(*sides, present=present)
        value, pull = jax.vjp(function, refined, xs)
        return value, pull(jnp.ones_like(value))

    value, slopes = run(*broken)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for side in slopes:
        for m, slope in enumerate(side):
            assert np.isfinite(slope).all()
            assert not slope[~present[:, m]].any()


def test_refinement_to_another_width_is_refused(no_jaxtyping):
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match=r"`refined` and `xs` must have the same shapes"):
        losses.refinement_loss([x, x], [x, x[:, :2]])
    with pytest.raises(ValueError, match=r"`refined` and `xs` must have the same shapes"):
        losses.refinement_loss([x], [x, x])


def test_what_a_dropped_sample_holds_does_not_reach_the_translations():
    x = np.array([[1.0, -2.0], [np.nan, np.inf]], np.float32)
    keep = np.array([True, False])

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1))
    def run(x, weight):
        forth, back = lambda x: jnp.sin(x) @ weight, lambda y: y @ weight.T
        return losses.cycle_loss(x, forth=forth, back=back, where=keep).sum()

    weight = np.random.default_rng(0).normal(size=(2, 3)).astype("f4")
    value, (slope, of_weight) = run(x, weight)
    there = np.sin(x[:1]) @ weight @ weight.T
    np.testing.assert_allclose(value, np.abs(there - x[0]).mean(), rtol=1e-5)
    signs = np.sign(there - x[:1]) / 2
    y = np.sin(x[:1])
    expected = y.T @ (signs @ weight) + signs.T @ (y @ weight)
    np.testing.assert_allclose(of_weight, expected, rtol=1e-5)
    assert not slope[1].any()


def test_cycle_takes_other_errors_and_refuses_another_width(no_jaxtyping):
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    options = {"forth": lambda x: 3 * x, "back": lambda y: y / 2}
    got = losses.cycle_loss(x, **options, error=losses.squared_error)
    np.testing.assert_allclose(got, ((x / 2) ** 2).mean(axis=1))
    with pytest.raises(ValueError, match=r"cycle_loss: `back` must return the shape \(3, 2\) of"):
        losses.cycle_loss(x, forth=lambda x: x, back=lambda y: y[:, :1])
