"""The SigLIP loss: analytic values, and the streamed form in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import losses


def _embeddings(n, d, a):
    i, j = np.arange(n)[:, None], np.arange(d)
    z = np.sin(1 + a * i + 0.7 * j) + 0.1 * np.cos(i * j)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("scale", "bias", "expected"), [(10.0, -10.0, 2.475464), (1.0, 0.0, 3.690903)]
)
def test_analytic_values(scale, bias, expected, x64):
    x, y = _embeddings(6, 4, 0.9), _embeddings(6, 4, 1.1)
    loss = losses.siglip_loss(x, y, logit_scale=scale, bias=bias)
    np.testing.assert_allclose(loss.mean(), expected, rtol=0, atol=5e-7)


def test_streamed_is_plain_and_the_mean_is_symmetric(x64):
    x, y = np.random.default_rng(0).normal(size=(2, 50, 8))
    keep = np.random.default_rng(1).uniform(size=50) < 0.8

    @jax.jit
    def both(x, y, scale, bias):
        def loss(implementation, *args):
            x, y, scale, bias = args
            options = {"logit_scale": scale, "bias": bias, "where": keep}
            return jnp.sum(losses.siglip_loss(x, y, **options, implementation=implementation))

        return [
            jax.value_and_grad(loss, (1, 2, 3, 4))(name, x, y, scale, bias)
            for name in ("xla", "streamed")
        ]

    plain, streamed = both(x, y, 3.0, -2.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), plain, streamed)
    swapped, _ = both(y, x, 3.0, -2.0)
    np.testing.assert_allclose(swapped[0], plain[0], rtol=1e-12)
