"""Chunks of rows: the same result, whatever their number, in bounded memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion
from crossmodal_jax.fusion import _stream

streamed = pytest.mark.parametrize("name", ["multiplicative_interaction", "tensor_fusion"])


def _case(name, batch, dims=(3, 4, 2), dim=5):
    rng = np.random.default_rng(0)
    init = functools.partial(fusion.OPERATORS[name].init, dims=dims, dim=dim)
    xs = [rng.normal(size=(*batch, d)) for d in dims]
    shapes = jax.eval_shape(init, jax.random.key(0))
    return xs, jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)


def _value_and_gradients(name, xs, weights):
    present = np.random.default_rng(1).uniform(size=(*xs[0].shape[:-1], len(xs))) < 0.7

    @jax.jit
    def run(xs, weights):
        apply = functools.partial(fusion.OPERATORS[name].apply, present=present)
        z, pull = jax.vjp(apply, xs, weights)
        return z, pull(jnp.cos(jnp.arange(float(z.size))).reshape(z.shape))

    return run(xs, weights)


@streamed
@pytest.mark.parametrize("batch", [(8,), (23,), (3, 1, 7)])
def test_chunks_change_nothing(name, batch, x64, monkeypatch):
    xs, weights = _case(name, batch)
    expected = _value_and_gradients(name, xs, weights)
    rows = []

    def spy(x, y, kernel):
        rows.append(x.shape[:-1])
        return bilinear_form(x, y, kernel)

    bilinear_form = _stream.bilinear_form
    monkeypatch.setattr(f"crossmodal_jax.fusion._{name}.bilinear_form", spy)
    monkeypatch.setattr(_stream, "_CHUNK_BYTES", 8 * 40 * 6)
    got = _value_and_gradients(name, xs, weights)
    # Six rows of forty numbers, the most that a row takes here, so that a chunk has four.
    assert all(len(shape) == 1 and shape[0] <= 4 for shape in rows)
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


@streamed
@pytest.mark.parametrize("rows", [65_536, 65_537])
def test_temporaries_of_the_gradient_are_those_of_a_chunk(name, rows):
    # Made for all rows at once, the products of features would take 1.1 GB.
    dims, dim = (64, 64), 64
    operator = fusion.OPERATORS[name]
    weights = jax.eval_shape(
        functools.partial(operator.init, dims=dims, dim=dim), jax.random.key(0)
    )
    xs = [jax.ShapeDtypeStruct((rows, d), jnp.float32) for d in dims]
    present = jax.ShapeDtypeStruct((rows, 2), bool)

    def loss(xs, weights, present):
        return jnp.sum(operator.apply(xs, weights, present=present) ** 2)

    for function in (loss, jax.grad(loss, (0, 1))):
        memory = jax.jit(function).lower(xs, weights, present).compile().memory_analysis()
        assert memory.temp_size_in_bytes <= 2**28


@streamed
def test_a_batch_sharded_over_devices_stays_so(name):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.NamedSharding(mesh, jax.P("data"))
    xs, weights = _case(name, (4096,), (32, 32, 32), 32)
    xs = [jax.ShapeDtypeStruct(x.shape, jnp.float32, sharding=rows) for x in xs]
    compiled = jax.jit(fusion.OPERATORS[name].apply).lower(xs, weights).compile()
    text = compiled.as_text()
    assert "while" in text
    assert not any(word in text for word in ("all-gather", "all-to-all", "collective-permute"))
    assert compiled.output_shardings.is_equivalent_to(rows, 2)
