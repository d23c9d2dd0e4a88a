"""Chunks of rows: the same result, whatever their number, in bounded memory."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion
from crossmodal_jax.fusion import _stream

streamed = pytest.mark.parametrize(
    "name", ["block", "compact_bilinear", "multiplicative_interaction", "tensor_fusion"]
)


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
    sizes = []

    def stream(function, weights, xs, mask, size):
        def spy(weights, xs, mask):
            sizes.append(mask.shape[:-1])
            return function(weights, xs, mask)

        monkeypatch.setattr(_stream, "_CHUNK_BYTES", 8 * size * 6)
        return _stream.stream(spy, weights, xs, mask, size)

    module = importlib.import_module(f"crossmodal_jax.fusion._{name}")
    monkeypatch.setattr(module, "stream", stream)
    got = _value_and_gradients(name, xs, weights)
    # A chunk has six rows, or some more or fewer where that divides the batch.
    assert {len(shape) for shape in sizes} == {1}
    assert all(2 <= rows <= 6 for (rows,) in sizes)
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


# Widths for which the products come first, for which they come in the slopes, and never.
@pytest.mark.parametrize("shape", [(3, 4, 5), (7, 2, 5), (11, 2, 5)])
def test_bilinear_form_and_its_slopes(shape, x64):
    rng = np.random.default_rng(0)
    x, y, kernel, g = (
        jnp.asarray(rng.normal(size=s)) for s in ((6, shape[0]), (6, shape[1]), shape, (6, 5))
    )
    z, pull = jax.vjp(_stream.bilinear_form, x, y, kernel)
    einsum = functools.partial(np.einsum, optimize=False)
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-12)
    close(z, einsum("na,nb,abd->nd", x, y, kernel))
    dx, dy, d_kernel = pull(g)
    close(dx, einsum("nd,nb,abd->na", g, y, kernel))
    close(dy, einsum("nd,na,abd->nb", g, x, kernel))
    close(d_kernel, einsum("na,nb,nd->abd", x, y, g))
    # It is linear in each argument: the slope along all three is a sum, and so is that of it.
    both = lambda t: _stream.bilinear_form(x + t * x, y + t * y, kernel + t * kernel)
    slope = lambda t: jax.jvp(both, (t,), (1.0,))[1]
    close(slope(0.0), 3 * z)
    close(jax.jvp(slope, (0.0,), (1.0,))[1], 6 * z)


@pytest.mark.parametrize(
    "name", ["compact_bilinear", "multiplicative_interaction", "tensor_fusion"]
)
@pytest.mark.parametrize("rows", [65_536, 1_048_576, 1_048_583])  # the last one is prime
def test_temporaries_do_not_grow_with_the_batch(name, rows):
    # Made for all rows at once, the products of features would take 1.1 to 17 GB.
    dims, dim = (64, 64), 64
    operator = fusion.OPERATORS[name]
    weights = jax.eval_shape(
        functools.partial(operator.init, dims=dims, dim=dim), jax.random.key(0)
    )
    xs = [jax.ShapeDtypeStruct((rows, d), jnp.float32) for d in dims]
    present = jax.ShapeDtypeStruct((rows, 2), bool)
    cotangent = jax.ShapeDtypeStruct((rows, dim), jnp.float32)

    def gradient(cotangent, xs, weights, present):
        apply = functools.partial(operator.apply, present=present)
        z, pull = jax.vjp(apply, xs, weights)
        return z, pull(cotangent)

    compiled = jax.jit(gradient).lower(cotangent, xs, weights, present).compile()
    assert compiled.memory_analysis().temp_size_in_bytes <= 2**28


# Not compact_bilinear: XLA gathers what it transforms.
@pytest.mark.parametrize("name", ["block", "multiplicative_interaction", "tensor_fusion"])
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


@streamed
def test_chunks_inside_shard_map(name, x64, monkeypatch):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    xs, weights = _case(name, (64,), (3, 4), 5)

    def loss(xs, weights):
        return jnp.sum(jnp.sin(fusion.OPERATORS[name].apply(xs, weights)))

    expected = jax.jit(jax.grad(loss, (0, 1)))(xs, weights)
    monkeypatch.setattr(_stream, "_CHUNK_BYTES", 8 * 40 * 3)
    local = lambda xs, weights: jax.lax.psum(loss(xs, weights), "data")
    specs = (jax.P("data"), jax.P())
    sharded = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=jax.P())
    got = jax.jit(jax.grad(sharded, (0, 1)))(xs, weights)
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)
