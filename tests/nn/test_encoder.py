"""The encoder and the projection against their formulas; dropout by explicit keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import nn

_X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def encoder():
    return nn.MLPEncoder(5, 512, 3, rngs=nnx.Rngs(0))


def _gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def test_encoder_matches_numpy(encoder):
    w = {
        name: np.asarray(x, np.float64) for name, x in nnx.to_pure_dict(nnx.state(encoder)).items()
    }
    hidden = _gelu(_X @ w["hidden_kernel"] + w["hidden_bias"])
    expected = hidden @ w["out_kernel"] + _X @ w["skip_kernel"] + w["out_bias"]
    np.testing.assert_allclose(encoder(_X), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(encoder(_X[0]), expected[0], rtol=1e-5, atol=1e-5)


def test_skip_can_start_from_a_closed_form(encoder):
    # Replaced functionally: the module itself stays as it was.
    graph, params = nnx.split(encoder)
    kernel = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    state = nnx.to_pure_dict(params)
    state["skip_kernel"] = jnp.asarray(kernel)
    state["out_kernel"] = jnp.zeros_like(state["out_kernel"])
    nnx.replace_by_pure_dict(params, state)
    np.testing.assert_allclose(nnx.merge(graph, params)(_X), _X @ kernel, rtol=1e-5, atol=1e-6)


def test_no_key_no_dropout(encoder):
    np.testing.assert_array_equal(encoder(_X, dropout=0.9), encoder(_X))
    np.testing.assert_array_equal(encoder(_X, key=jax.random.key(0)), encoder(_X))


def test_dropout_is_a_function_of_its_key_and_keeps_the_mean(encoder):
    keys = jax.random.split(jax.random.key(0), 2000)
    drawn = jax.jit(jax.vmap(lambda key, rate: encoder(_X, key=key, dropout=rate), (0, None)))
    codes = drawn(keys, 0.4)
    np.testing.assert_array_equal(codes[:3], drawn(keys, 0.4)[:3])
    assert not np.allclose(codes[0], codes[1])
    # The standard error of a mean of 2000 draws is about 0.01.
    np.testing.assert_allclose(codes.mean(axis=0), encoder(_X), atol=0.06)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_dtype_is_that_of_the_input(encoder, dtype, strict):
    got = encoder(jnp.asarray(_X, dtype), key=jax.random.key(0), dropout=0.5)
    assert got.dtype == dtype


def test_projection_matches_numpy():
    project = nn.Projection(5, 3, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(project(_X), _X @ project.kernel[...] + project.bias[...], rtol=1e-5)


def test_wrong_width_is_refused(encoder, no_jaxtyping):
    message = r"MLPEncoder: `x` must have shape \[\*batch, 5\], got x.shape=\(6, 4\)"
    with pytest.raises(ValueError, match=message):
        encoder(_X[:, :4])
    with pytest.raises(ValueError, match="Projection: `x` must have shape"):
        nn.Projection(5, 3, rngs=nnx.Rngs(0))(_X[:, :4])
