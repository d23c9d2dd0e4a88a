"""The laws of losses and metrics, which are functions of rows under a mask."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np

_NUM = 7
_ROWS = np.arange(_NUM)
# All rows, all but the first, every other one, a single one, none.
MASKS = np.stack([_ROWS >= 0, _ROWS > 0, _ROWS % 2 == 0, _ROWS == 4, _ROWS < 0])
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 1e-5}


def arguments(member, dtype="float32", num=_NUM):
    """Returns the member's arrays, floats cast to `dtype` on the host."""
    arrays = member.arguments(np.random.default_rng(0), num)
    return [x.astype(jnp.dtype(dtype)) if _is_float(x) else x for x in arrays]


@functools.cache
def _compiled(member):
    """Value, and gradients by all floating arguments, over masks; jitted once for all tests."""

    def run(arrays, keep):
        floats = [x for x in arrays if _is_float(x)]
        if not member.differentiable:
            return member.function(*arrays, where=keep), []

        def function(floats):
            rest = iter(floats)
            whole = [next(rest) if _is_float(x) else x for x in arrays]
            return member.function(*whole, where=keep)

        value, pull = jax.vjp(function, floats)
        probe = jnp.cos(jnp.arange(value.size, dtype=jnp.float32)).reshape(value.shape)
        return value, pull(probe.astype(value.dtype))[0]

    return jax.jit(jax.vmap(run, (None, 0)))


def assert_equals_definition_on_kept_rows(member, dtype):
    with jax.enable_x64(dtype == "float64"):
        arrays = arguments(member, dtype)
        got, _ = _compiled(member)(arrays, MASKS)
        assert got.dtype == ("float64" if dtype == "float64" else "float32")
    exact = [x.astype(np.float64) if _is_float(x) else x for x in arrays]
    for value, keep in zip(np.asarray(got), MASKS, strict=True):
        if not keep.any():
            assert np.isfinite(value).all()
            continue
        expected = np.asarray(member.oracle(*(x[keep] for x in exact)))
        if expected.ndim:
            assert not value[~keep].any()
            value = value[keep]
        # Integer and bfloat16 inputs are those of the oracle: only the arithmetic differs.
        np.testing.assert_allclose(value, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def assert_payload_is_ignored(member, dtype):
    arrays = arguments(member, dtype)
    run = _compiled(member)
    for m, keep in enumerate(MASKS):
        expected = run(_filled(arrays, keep, 0.0, 0), MASKS)
        _assert_finite(jax.tree.map(lambda leaf, m=m: leaf[m], expected))
        for slope in expected[1]:
            assert not np.asarray(slope[m], np.float32)[~keep].any()
        for payload, label in ((np.nan, -1), (np.inf, 10**6), (-np.inf, 0), (1e30, 2**31 - 1)):
            got = run(_filled(arrays, keep, payload, label), MASKS)
            jax.tree.map(lambda a, b, m=m: np.testing.assert_array_equal(a[m], b[m]), got, expected)


def assert_zero_vectors_are_finite(member):
    zeros = [np.zeros_like(x) for x in arguments(member)]
    _assert_finite(_compiled(member)(zeros, MASKS))


def assert_order_of_rows_is_a_matter_of_names(member):
    arrays, order = arguments(member), np.random.default_rng(1).permutation(_NUM)
    run = _compiled(member)
    expected, _ = run(arrays, MASKS)
    got, _ = run([x[order] for x in arrays], MASKS[:, order])
    if expected.ndim > 1:
        expected = expected[:, order]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def assert_one_row_and_one_compilation(member):
    traces = []

    @jax.jit
    def function(*arrays):
        traces.append(1)
        return member.function(*arrays)

    arrays = arguments(member)
    for i in (0, 3):
        row = [x[i : i + 1] for x in arrays]
        exact = [x.astype(np.float64) if _is_float(x) else x for x in row]
        np.testing.assert_allclose(function(*row), member.oracle(*exact), rtol=1e-5, atol=1e-5)
    assert len(traces) == 1


def assert_runs_under_strict_checks(member, *, leaks):
    arrays = arguments(member)
    with jax.numpy_dtype_promotion("strict"), jax.debug_nans(True):
        with jax.checking_leaks() if leaks else contextlib.nullcontext():
            value, _ = _compiled(member)(arrays, MASKS)
        _assert_finite(value)
        # Shapes and dtypes only: nothing is compiled, and what leaks does so in any dtype.
        for dtype in ("bfloat16", "float64"):
            with jax.enable_x64(dtype == "float64"):
                jax.eval_shape(_compiled(member), arguments(member, dtype), MASKS)


def bad_shapes(member):
    """Returns calls `(arrays, where)` that no member may accept."""
    arrays = arguments(member)
    return {
        "rows": ([arrays[0], arrays[1][:-1], *arrays[2:]], None),
        "mask": (arrays, np.ones(_NUM - 1, bool)),
        "rank": ([arrays[0], arrays[1][None, None], *arrays[2:]], None),
    }


def _filled(arrays, keep, payload, label):
    # On the host: a device computation that makes NaN is what `debug_nans` forbids.
    value = lambda x: np.asarray(payload if _is_float(x) else label, x.dtype)
    where = lambda x: keep.reshape(-1, *[1] * (x.ndim - 1))
    return [np.where(where(x), x, value(x)) for x in arrays]


def _is_float(x):
    return jnp.issubdtype(x.dtype, jnp.floating)


def _assert_finite(tree):
    for leaf in jax.tree.leaves(tree):
        assert np.isfinite(np.asarray(leaf, np.float64)).all()
