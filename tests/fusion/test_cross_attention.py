"""Cross-attention: one modality reads the others."""

import jax
import jax.numpy as jnp
import numpy as np

from crossmodal_jax import fusion

_RNG = np.random.default_rng(0)


def _random(leaf):
    return jnp.asarray(_RNG.normal(size=leaf.shape))


def _weights(dims, dim, **options):
    weights = fusion.init_cross_attention(jax.random.key(0), dims, dim, **options)
    return jax.tree.map(_random, weights)


def _layer_norm(x, norm):
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * norm.scale + norm.bias


def test_result_is_the_normalised_mean_of_the_tokens(x64):
    weights = _weights((5, 4, 3), 6, num_layers=2)
    xs = [_RNG.normal(size=(2, t, d)) for t, d in ((3, 5), (2, 4), (4, 3))]
    where = [np.array([[True, False, True], [False, False, True]]), None, None]
    tokens = np.asarray(fusion.cross_attention_tokens(xs, weights, where=where))
    assert not tokens[~where[0]].any()
    means = np.stack([tokens[i, where[0][i]].mean(axis=0) for i in range(2)])
    got = fusion.cross_attention(xs, weights, where=where)
    np.testing.assert_allclose(got, _layer_norm(means, weights.norm), rtol=0, atol=1e-12)


def test_with_no_one_to_read_the_attention_adds_exactly_nothing(x64):
    weights = _weights((5, 4), 6)
    xs = [_RNG.normal(size=(2, 3, 5)), _RNG.normal(size=(2, 4, 4))]
    alone = fusion.cross_attention(xs, weights, present=np.array([True, False]))
    # The same as a block whose attention is zero, and as a single modality.
    silent = weights.blocks[0]._replace(out=jnp.zeros_like(weights.blocks[0].out))
    got = fusion.cross_attention(xs, weights._replace(blocks=(silent,)))
    np.testing.assert_array_equal(got, alone)
    single = weights._replace(kernels=weights.kernels[:1], biases=weights.biases[:1])
    np.testing.assert_array_equal(fusion.cross_attention(xs[:1], single), alone)


def test_a_single_key_is_read_as_it_is(x64):
    # One key has all the weight, whatever the queries: every token takes LN(c) V O.
    weights = _weights((5, 4), 6, num_heads=2)
    layer = weights.blocks[0]
    layer = layer._replace(out_kernel=jnp.zeros_like(layer.out_kernel))
    weights = weights._replace(blocks=(layer,))
    xs = [_RNG.normal(size=(3, 5)), _RNG.normal(size=(1, 4))]
    own, read = (x @ k + b for x, k, b in zip(xs, weights.kernels, weights.biases, strict=True))
    value = np.einsum(
        "d,dhe->he", _layer_norm(np.asarray(read), layer.norm)[0], layer.key_value[:, 1]
    )
    expected = own + np.einsum("he,hed->d", value, layer.out) + layer.out_bias
    got = fusion.cross_attention_tokens(xs, weights)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_without_the_first_modality_there_is_nothing():
    weights = _weights((5, 4), 6)
    xs = [jnp.full((3, 5), jnp.nan), jnp.ones((2, 4))]
    present = jnp.array([False, True])
    assert not fusion.cross_attention(xs, weights, present=present).any()
    assert not fusion.cross_attention_tokens(xs, weights, present=present).any()
