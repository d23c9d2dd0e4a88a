"""One sequence of all tokens."""

import jax
import jax.numpy as jnp
import numpy as np

from crossmodal_jax import fusion

_RNG = np.random.default_rng(0)


def _random(leaf):
    return jnp.asarray(_RNG.normal(size=leaf.shape))


def test_modalities_that_share_their_weights_are_one(x64):
    xs = [_RNG.normal(size=(2, t, 5)) for t in (3, 4)]
    one = jax.tree.map(_random, fusion.init_early_transformer(jax.random.key(0), (5,), 6))
    two = one._replace(kernels=one.kernels * 2, biases=jnp.concatenate([one.biases] * 2))
    got = fusion.early_transformer(xs, two)
    expected = fusion.early_transformer([np.concatenate(xs, axis=1)], one)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    # The embedding is what tells them apart.
    told = fusion.early_transformer(xs, two._replace(biases=two.biases.at[1, 0].add(1.0)))
    assert np.abs(told - expected).max() > 1e-2


def test_equal_tokens_count_as_one(x64):
    x = _RNG.normal(size=(2, 1, 5))
    weights = fusion.init_early_transformer(jax.random.key(0), (5,), 6)
    weights = jax.tree.map(_random, weights)
    got = fusion.early_transformer([np.repeat(x, 4, axis=1)], weights)
    np.testing.assert_allclose(got, fusion.early_transformer([x], weights), rtol=0, atol=1e-12)
