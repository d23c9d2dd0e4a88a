"""Products of bfloat16: a CPU takes twice as long where XLA makes float32 of them in secret."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import kernels


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="what XLA does for CPUs")
@pytest.mark.parametrize("sums", [kernels.log_sums, kernels.softplus_sums])
def test_products_of_a_gradient_are_those_of_the_precision(sums):
    def total(x, y, scale):
        found = sums(x, y, scale=scale, precision="bfloat16", implementation="streamed")
        return jnp.sum(found.rows)

    run = jax.jit(jax.value_and_grad(total, (0, 1, 2)))
    side = jax.ShapeDtypeStruct((1024, 128), jnp.float32)
    text = run.lower(side, side, jax.ShapeDtypeStruct((), jnp.float32)).compile().as_text()
    products = list(operand_types(text))
    # Logits, and of the gradient both sides.
    assert len(products) >= 3
    assert set(products) == {("bf16", "bf16")}


@pytest.mark.parametrize("sums", [kernels.log_sums, kernels.softplus_sums])
def test_many_scales_at_once(sums):
    # XLA for CPUs has no product of bfloat16 of which one side is a batch, and says so.
    x, y = np.random.default_rng(0).normal(size=(2, 600, 16)).astype(np.float32) / 4

    def total(x, y, scale):
        found = sums(x, y, scale=scale, precision="bfloat16", implementation="streamed")
        return jnp.mean(found.rows)

    gradient, scales = jax.grad(total, (0, 1, 2)), jnp.array([1.0, 5.0])
    together = jax.jit(jax.vmap(gradient, (None, None, 0)))(x, y, scales)
    alone = jax.jit(lambda *given: jax.lax.map(lambda s: gradient(*given, s), scales))(x, y)
    for got, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=2**-8 * np.max(np.abs(expected)))


def operand_types(text):
    """The element types of the operands of every product of a compiled program."""
    for computation in text.split("\n}"):
        types = dict(re.findall(r"(%[\w.-]+) = (\w+)\[", computation))
        for operands in re.findall(r" dot\(([^)]*)\)", computation):
            yield tuple(types[name] for name in operands.split(", "))
