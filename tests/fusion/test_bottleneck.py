"""Bottleneck tokens are the only way from one modality to another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion
from crossmodal_jax.fusion import _tokens

_RNG = np.random.default_rng(0)
_DIMS = (5, 4)


def _weights(**options):
    weights = fusion.init_bottleneck(jax.random.key(0), _DIMS, 6, **options)
    return jax.tree.map(lambda leaf: jnp.asarray(_RNG.normal(size=leaf.shape)), weights)


def _xs():
    return [_RNG.normal(size=(2, t, d)) for t, d in zip((3, 4), _DIMS, strict=True)]


@pytest.mark.slow
def test_a_modality_and_its_copy_are_that_modality(x64):
    # Equal streams leave equal bottlenecks, whose mean is each of them.
    xs, weights = _xs(), _weights()
    first = lambda part: (part[0], part[0])
    twice = weights._replace(
        kernels=first(weights.kernels),
        biases=weights.biases[jnp.array([0, 0])],
        blocks=first(weights.blocks),
    )
    got = fusion.bottleneck([xs[0], xs[0]], twice)
    alone = fusion.bottleneck(xs, weights, present=np.array([True, False]))
    np.testing.assert_allclose(got, alone, rtol=0, atol=1e-12)


def test_order_of_bottlenecks_is_a_matter_of_names(x64):
    xs, weights = _xs(), _weights()
    moved = weights._replace(bottlenecks=weights.bottlenecks[::-1])
    expected = fusion.bottleneck(xs, weights)
    np.testing.assert_allclose(fusion.bottleneck(xs, moved), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("num_layers", "meet"), [(1, False), (2, True)])
def test_modalities_meet_in_the_bottlenecks_only(num_layers, meet, monkeypatch, x64):
    # Without the last norm, the result is f(x₁) + g(x₂) exactly as long as nothing passes.
    monkeypatch.setattr(_tokens, "layer_norm", lambda x, weights: x)
    weights = _weights(num_layers=num_layers)
    (x, y), (other_x, other_y) = _xs(), _xs()
    value = lambda x, y: fusion.bottleneck([x, y], weights)
    mixed = value(x, y) - value(other_x, y) - value(x, other_y) + value(other_x, other_y)
    assert (np.abs(mixed).max() > 1e-3) == meet
    assert meet or np.abs(mixed).max() < 1e-12
