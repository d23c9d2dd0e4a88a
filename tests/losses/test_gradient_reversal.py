"""Gradient reversal: the identity to the last bit, and its derivative with the other sign."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.losses import gradient_reversal, softmax_cross_entropy


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_value_is_exact_and_derivatives_are_reversed(dtype, strict):
    x = jnp.asarray([1 / 3, -1e30, 3e-30, 0.1], dtype)
    weights = jnp.asarray([0.0, 2.0], dtype)

    @jax.jit
    def run(x, weights):
        reverse = lambda x, weight=0.5: gradient_reversal(x, weight=weight)
        value, pull = jax.vjp(gradient_reversal, x)
        forward = jax.jvp(reverse, (x,), (x,))
        slopes = jax.vmap(lambda weight: jax.vjp(lambda x: reverse(x, weight), x)[1](x)[0])
        return value, pull(x)[0], forward, slopes(weights)

    value, slope, forward, slopes = run(x, weights)
    assert value.dtype == x.dtype
    np.testing.assert_array_equal(value, x)
    np.testing.assert_array_equal(slope, -x)
    np.testing.assert_array_equal(forward[0], x)
    np.testing.assert_array_equal(forward[1], -x / 2)
    np.testing.assert_array_equal(slopes, -weights[:, None] * x)


def test_classifier_learns_and_features_unlearn():
    rng = np.random.default_rng(0)
    x, encoder, head = rng.normal(size=(6, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    x, encoder, head = np.float32(x), np.float32(encoder), np.float32(head)
    domains, keep = jnp.arange(6) % 2, np.arange(6) < 4
    x[4:] = np.nan

    def loss(weights, between):
        features = between(jnp.where(keep[:, None], x, 0) @ weights[0])
        return softmax_cross_entropy(features @ weights[1], domains, where=keep).sum()

    slopes = jax.jit(jax.grad(loss), static_argnums=1)
    plain = slopes((encoder, head), lambda z: z)
    got = slopes((encoder, head), lambda z: gradient_reversal(z, weight=0.3))
    np.testing.assert_allclose(got[0], -0.3 * plain[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(got[1], plain[1])
