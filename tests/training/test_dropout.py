"""Modality dropout against the probabilities of its definition."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.training import modality_dropout


def pattern_probability(kept, rate):
    """Each dropped with `rate`; if all go, one of them stays, each equally likely."""
    n = len(kept)
    probability = np.prod([1 - rate if k else rate for k in kept]) * any(kept)
    return probability + (rate**n / n if sum(kept) == 1 else 0.0)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_frequencies_of_all_patterns(n, rate):
    samples = 40_000
    present = np.ones((samples, n), bool)
    got = np.asarray(jax.jit(modality_dropout)(jax.random.key(n), present, rate=rate))
    assert got.any(axis=-1).all()
    patterns = list(itertools.product([False, True], repeat=n))[1:]
    expected = np.array([pattern_probability(p, rate) for p in patterns])
    assert np.isclose(expected.sum(), 1)
    frequency = np.array([(got == np.array(p)).all(axis=-1).mean() for p in patterns])
    deviation = 5 * np.sqrt(expected * (1 - expected) / samples)  # five standard errors
    np.testing.assert_array_less(np.abs(frequency - expected), deviation + 1e-9)
    # The closed form in the docstring.
    dropped = 5 * np.sqrt(0.25 / samples)
    np.testing.assert_allclose(1 - got.mean(axis=0), rate - rate**n / n, atol=dropped)


def test_subset_of_present_and_never_empty():
    present = np.random.default_rng(0).random((4, 500, 4)) < 0.5
    got = np.asarray(modality_dropout(jax.random.key(0), present, rate=0.8))
    assert not (got & ~present).any()
    np.testing.assert_array_equal(got.any(axis=-1), present.any(axis=-1))


def test_stateless_and_different_by_key():
    present = np.ones((200, 3), bool)
    draw = lambda seed: np.asarray(modality_dropout(jax.random.key(seed), present, rate=0.5))
    np.testing.assert_array_equal(draw(0), draw(0))
    assert (draw(0) != draw(1)).any()


def test_rate_may_be_traced_and_swept():
    present = jnp.ones((1000, 3), bool)
    sweep = jax.vmap(lambda rate: modality_dropout(jax.random.key(0), present, rate=rate))
    kept = np.asarray(sweep(jnp.array([0.0, 0.5, 1.0])).mean(axis=(1, 2)))
    np.testing.assert_allclose(kept[[0, 2]], [1, 1 / 3], rtol=1e-6)
    assert kept[2] < kept[1] < kept[0]


def test_strict(strict):
    got = jax.jit(modality_dropout)(jax.random.key(0), jnp.ones((5, 2), bool), rate=0.5)
    assert got.dtype == bool


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_rate_outside_unit_interval(rate):
    with pytest.raises(ValueError, match=r"`rate` must lie in \[0, 1\]"):
        modality_dropout(jax.random.key(0), np.ones((2, 2), bool), rate=rate)
