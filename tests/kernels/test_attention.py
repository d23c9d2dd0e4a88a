"""Attention: every implementation against a loop in NumPy float64."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax.kernels import attention

_cudnn = importlib.import_module("crossmodal_jax.kernels.attention._cudnn")

# The fused kernel of GPUs does not run here; when it refuses is tested below.
IMPLEMENTATIONS = ["xla", "jax"]
every_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
# Inputs are exact in each dtype: what differs is the arithmetic, in bfloat16 the weights and the
# result rounded to 2⁻⁸.
TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2**-7, "float16": 2**-10}


@functools.partial(jax.jit, static_argnames=("scale", "implementation"))
def attend(query, key, value, where=None, scale=None, implementation=None):
    return attention(query, key, value, where=where, scale=scale, implementation=implementation)


@functools.partial(jax.jit, static_argnames="implementation")
def gradients(query, key, value, where, implementation=None):
    def total(query, key, value):
        out = attention(query, key, value, where=where, implementation=implementation)
        probe = jnp.cos(jnp.arange(out.size, dtype=jnp.float32)).reshape(out.shape)
        return jnp.sum(out.astype(jnp.float32) * probe)

    return jax.grad(total, argnums=(0, 1, 2))(query, key, value)


def expected_attention(query, key, value, where, scale):
    """Query by query, over the keys that exist only."""
    out = np.zeros(query.shape)
    batch, t, heads, _ = query.shape
    for b, i, h in np.ndindex(batch, t, heads):
        keys = np.flatnonzero(where[b])
        if keys.size:
            logits = scale * np.array([query[b, i, h] @ key[b, j, h] for j in keys])
            weights = np.exp(logits - logits.max())
            out[b, i, h] = weights / weights.sum() @ value[b, keys, h]
    return out


def case(dtype="float32", *, t=3, s=5):
    """Four samples of two heads: all keys, some, one, none."""
    rng = np.random.default_rng(0)
    query = rng.normal(size=(4, t, 2, 8))
    key, value = rng.normal(size=(2, 4, s, 2, 8))
    where = np.arange(s) % np.array([[1], [2], [s], [1]]) == 0
    where[3] = False
    return *(jnp.asarray(x.astype(jnp.bfloat16), dtype) for x in (query, key, value)), where


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("scale", [None, 0.0, 3.0])
@every_implementation
def test_equals_numpy(implementation, scale, dtype):
    if implementation == "jax" and dtype in {"float16", "float64"}:
        pytest.skip("refused, see below")
    with jax.enable_x64(dtype == "float64"):
        query, key, value, where = case(dtype)
        arrays = [np.asarray(x, np.float64) for x in (query, key, value)]
        for mask in (where, None):
            got = attend(query, key, value, mask, scale, implementation)
            assert got.dtype == dtype
            keep = np.ones_like(where) if mask is None else mask
            expected = expected_attention(*arrays, keep, 8**-0.5 if scale is None else scale)
            tolerance = TOLERANCE[dtype]
            got = np.asarray(got, np.float64)
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=4 * tolerance)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@every_implementation
def test_what_a_key_that_does_not_exist_holds_changes_nothing(implementation, dtype, request):
    if implementation == "xla":
        request.getfixturevalue("strict")  # JAX itself promotes
    query, key, value, where = case(dtype)
    expected = attend(query, key, value, where, implementation=implementation)
    slopes = gradients(query, key, value, where, implementation)
    assert not expected[3].any()
    assert not any(slope[3].any() for slope in slopes)
    for slope in slopes[1:]:
        assert not slope[~where].any()
    for payload in (np.nan, np.inf, 1e30):
        # On the host: a device computation that makes NaN is what `debug_nans` forbids.
        fill = lambda x, p=payload: np.where(where[..., None, None], x, np.asarray(p, x.dtype))
        filled = query, fill(key), fill(value), where
        got = attend(*filled, implementation=implementation)
        np.testing.assert_array_equal(got, expected)
        got = gradients(*filled, implementation)
        jax.tree.map(np.testing.assert_array_equal, got, slopes)


@every_implementation
def test_masked_equals_deleted(implementation):
    query, key, value, where = case()
    got = attend(query, key, value, where, implementation=implementation)
    for b in range(3):
        one = [x[b, where[b]] for x in (key, value)]
        alone = attend(query[b], *one, implementation=implementation)
        np.testing.assert_allclose(got[b], alone, rtol=2e-6, atol=2e-6)


def test_gradients_are_those_of_finite_differences(x64):
    *arrays, where = case("float64")
    function = functools.partial(attend, where=where)
    check_grads(function, arrays, order=2, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_gradients_of_all_implementations_agree():
    expected = gradients(*case(), "xla")
    for implementation in IMPLEMENTATIONS[1:]:
        got = gradients(*case(), implementation)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_batch_axes_mask_and_vmap():
    query, key, value, where = case()
    expected = attend(query, key, value, where)
    square = [x.reshape(2, 2, *x.shape[1:]) for x in (query, key, value, where)]
    np.testing.assert_allclose(attend(*square).reshape(query.shape), expected, atol=1e-6)
    got = jax.vmap(lambda q, k, v, w: attention(q, k, v, where=w))(query, key, value, where)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    got = attend(query, key, value, where[1])
    np.testing.assert_allclose(got, attend(query, key, value, where[[1, 1, 1, 1]]), atol=1e-6)
    np.testing.assert_array_equal(attend(query, key[:, :0], value[:, :0]), jnp.zeros_like(query))


@every_implementation
def test_large_logits_stay_finite(implementation):
    query, key, value, where = case()
    got = attend(query, key, value, where, 1e4, implementation)
    assert np.isfinite(got).all()
    slopes = jax.grad(lambda q: attend(q, key, value, where, 1e4, implementation).sum())(query)
    assert np.isfinite(slopes).all()


def test_none_always_works_and_keeps_float64(x64):
    query, key, value, where = case("float64")
    np.testing.assert_array_equal(
        attend(query, key, value, where), attend(query, key, value, where, implementation="xla")
    )
    with pytest.raises(NotImplementedError, match=r"'jax' \(its softmax is computed in float32"):
        attention(query, key, value, implementation="jax")
    with pytest.raises(NotImplementedError, match=r"'jax' \(its product of float16 needs a GPU"):
        attention(*(x.astype(jnp.float16) for x in (query, key, value)), implementation="jax")


@pytest.mark.parametrize(
    ("dtype", "shape", "masked", "reason"),
    [
        ("float32", (2, 4, 2, 8), False, "needs float16 or bfloat16, got float32"),
        ("bfloat16", (2, 4, 2, 12), False, "multiple of 8 up to 128, got 12"),
        ("float16", (2, 4, 2, 136), False, "multiple of 8 up to 128, got 136"),
        ("bfloat16", (2, 3, 2, 8), True, r"even lengths beside a mask, got t, s = \(3, 3\)"),
        ("bfloat16", (2, 4, 2, 8), True, "needs an NVIDIA GPU, got cpu"),
        ("bfloat16", (2, 3, 2, 8), False, "needs an NVIDIA GPU, got cpu"),
    ],
)
def test_cudnn_refuses_with_a_reason(dtype, shape, masked, reason):
    x = jnp.zeros(shape, dtype)
    where = jnp.ones(shape[:2], bool) if masked else None
    with pytest.raises(NotImplementedError, match=rf"attention: .*'cudnn' \(.*{reason}"):
        attention(x, x, x, where=where, implementation="cudnn")
    # A sequence goes on to the next.
    assert not attention(x, x, x, where=where, implementation=("cudnn", "xla")).any()


def test_cudnn_is_called_where_it_is_legal(monkeypatch):
    calls = []

    def fused(query, key, value, *, mask, scale, implementation):
        calls.append((implementation, mask.shape, scale))
        return query

    monkeypatch.setattr(_cudnn, "_on_cuda", lambda: True)
    monkeypatch.setattr(jax.nn, "dot_product_attention", fused)
    query, key = (
        jnp.zeros((2, 3, 4, 2, 16), jnp.bfloat16),
        jnp.zeros((2, 3, 6, 2, 16), jnp.bfloat16),
    )
    assert attention(query, key, key, where=jnp.ones(6, bool)).shape == query.shape
    assert calls == [("cudnn", (6, 1, 4, 6), 0.25)]


_GOOD = {"query": (2, 3, 2, 4), "key": (2, 5, 2, 4), "value": (2, 5, 2, 4)}


@pytest.mark.parametrize(
    "shapes",
    [{"value": (2, 4, 2, 4)}, {"query": (3, 3, 2, 4)}, {"query": (2, 3, 1, 4)}, {"query": (2, 4)}],
)
def test_bad_shapes_are_named(shapes, no_jaxtyping):
    arrays = {name: jnp.zeros(shape) for name, shape in (_GOOD | shapes).items()}
    with pytest.raises(ValueError, match=r"attention: `query` must be .*, got query.shape=.*; "):
        attention(**arrays)


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        (
            {"where": np.ones((2, 4), bool)},
            ValueError,
            r"must broadcast to \[\*batch, s\] = \(2, 5",
        ),
        ({"where": np.ones((2, 5), int)}, TypeError, "`where` must be boolean .*, got int32; "),
        ({"key": np.zeros((2, 5, 2, 4), np.float16)}, TypeError, "of one floating dtype, got flo"),
        ({"implementation": "xl"}, ValueError, "did you mean 'xla'"),
    ],
)
def test_bad_arguments_are_named(kwargs, error, words, no_jaxtyping):
    arrays = {name: np.zeros(shape, np.float32) for name, shape in _GOOD.items()}
    with pytest.raises(error, match=f"attention: .*{words}"):
        attention(**(arrays | kwargs))
