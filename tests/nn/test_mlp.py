import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import nn


def test_mlp_matches_numpy(x64):
    network = nn.MLP(3, 5, 2, depth=2, rngs=nnx.Rngs(0))
    network = jax.tree.map(lambda w: w.astype(jnp.float64) + 0.1, network)
    x = np.random.default_rng(0).normal(size=(7, 3))
    hidden = x
    for i, layer in enumerate(network.layers):
        hidden = hidden @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])
        if i < 2:
            cubic = np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)
            hidden = hidden / 2 * (1 + np.tanh(cubic))
    np.testing.assert_allclose(jax.jit(lambda f, x: f(x))(network, x), hidden, rtol=1e-12)


def test_mlp_keeps_the_dtype_and_may_start_at_zero(strict):
    network = nn.MLP(3, 4, 2, depth=1, zero_last=True, rngs=nnx.Rngs(0))
    got = network(jnp.ones((2, 5, 3), jnp.bfloat16))
    assert got.dtype == jnp.bfloat16
    np.testing.assert_array_equal(got.astype(jnp.float32), np.zeros((2, 5, 2)))


def test_mlp_names_bad_widths(no_jaxtyping):
    with pytest.raises(ValueError, match="depth=0; use Projection"):
        nn.MLP(3, 4, 2, depth=0, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"MLP: `x` must have shape \[\*batch, 3\]"):
        nn.MLP(3, 4, 2, rngs=nnx.Rngs(0))(jnp.ones((2, 4)))
