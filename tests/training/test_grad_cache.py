"""Micro-batches against the whole batch: the gradient, and the memory it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.training import grad_cache

RNG = np.random.default_rng(0)
BATCH = {
    "x": RNG.normal(size=(24, 6)).astype(np.float32),
    "present": RNG.random(24) < 0.7,
}
PARAMS = {"a": RNG.normal(size=(6, 9)), "b": RNG.normal(size=(9, 4))}


def encode(params, batch, scale):
    x = jnp.where(batch["present"][:, None], batch["x"], 0)
    hidden = jnp.tanh(x @ params["a"])
    return {"z": scale * hidden @ params["b"], "norm": jnp.sum(hidden**2, axis=-1)}


def loss(encode):
    """Every row is a negative of every other."""

    def value(params):
        out = encode(params, BATCH, 0.5)
        logits = out["z"] @ out["z"].T
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) + out["norm"] * jnp.max(out["norm"]))

    return jax.jit(jax.value_and_grad(value))


@pytest.mark.parametrize("num_micro_batches", [1, 2, 3, 24])
def test_micro_batches_equal_the_batch(num_micro_batches, x64):
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), PARAMS)
    got = loss(grad_cache(encode, num_micro_batches=num_micro_batches))(params)
    expected = loss(encode)(params)
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-13)


def test_memory_of_the_gradient():
    """Hidden activations [n, 4096] dwarf all else; the bound is on the gradient, not the value."""
    x = jnp.ones((1024, 8))
    params = [jnp.ones((8, 4096)), jnp.ones((4096, 8))]
    encode = lambda params, x: jnp.tanh(x @ params[0]) @ params[1]

    def temporary_bytes(encode):
        grad = jax.grad(lambda params: jnp.sum(jax.nn.logsumexp(encode(params, x), axis=0)))
        compiled = jax.jit(grad).lower(params).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    whole, parts = (
        temporary_bytes(encode),
        temporary_bytes(grad_cache(encode, num_micro_batches=16)),
    )
    assert whole > 1024 * 4096 * 4
    assert parts < whole / 8


def test_wrong_numbers(no_jaxtyping):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        grad_cache(encode, num_micro_batches=0)
    with pytest.raises(ValueError, match=r"got shape \(24.*\) and 5; choose a divisor"):
        grad_cache(encode, num_micro_batches=5)(PARAMS, BATCH, 1.0)
