"""Latents that read tokens."""

import jax
import jax.numpy as jnp
import numpy as np

from crossmodal_jax import fusion

_RNG = np.random.default_rng(0)
_DIMS = (5, 4)


def _weights(**options):
    weights = fusion.init_perceiver(jax.random.key(0), _DIMS, 6, **options)
    return jax.tree.map(lambda leaf: jnp.asarray(_RNG.normal(size=leaf.shape)), weights)


def _tokens():
    return [_RNG.normal(size=(2, t, d)) for t, d in zip((3, 4), _DIMS, strict=True)]


def test_result_is_the_normalised_mean_of_the_latents(x64):
    xs, weights = _tokens(), _weights(num_latents=3)
    latents = np.asarray(fusion.perceiver_latents(xs, weights))
    assert latents.shape == (2, 3, 6)
    mean = latents.mean(axis=1)
    normal = (mean - mean.mean(axis=1, keepdims=True)) / np.sqrt(
        mean.var(axis=1, keepdims=True) + 1e-6
    )
    expected = normal * weights.norm.scale + weights.norm.bias
    np.testing.assert_allclose(fusion.perceiver(xs, weights), expected, rtol=0, atol=1e-12)


def test_equal_tokens_count_as_one(x64):
    # A softmax over equal logits is even, and the mean of equal values is each of them.
    xs, weights = _tokens(), _weights()
    repeated = [np.repeat(x[:, :1], 4, axis=1) for x in xs]
    got = fusion.perceiver_latents(repeated, weights)
    expected = fusion.perceiver_latents([x[:, :1] for x in xs], weights)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_order_of_latents_is_a_matter_of_names(x64):
    xs, weights = _tokens(), _weights(num_latents=3)
    order = np.array([2, 0, 1])
    moved = weights._replace(latents=weights.latents[order])
    got = fusion.perceiver_latents(xs, moved)
    expected = fusion.perceiver_latents(xs, weights)[:, order]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_nothing_to_read_leaves_zeros():
    xs, weights = _tokens(), _weights()
    present = jnp.array([[False, False], [True, False]])
    latents = fusion.perceiver_latents(xs, weights, present=present)
    assert not latents[0].any()
    assert latents[1].any()
