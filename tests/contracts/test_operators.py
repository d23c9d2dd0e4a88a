"""The contract of every fusion operator, over all patterns of presence of three modalities."""

import functools
import itertools

import jax
import jax.numpy as jnp
import members
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import fusion

# All 2³ patterns, two samples of each: one batch, and so one compilation, holds them all.
_PATTERNS = np.array(list(itertools.product([False, True], repeat=3)))
_PRESENT = np.repeat(_PATTERNS, 2, axis=0)
# Sums are taken in float32 at least, so that bfloat16 is rounded once, at the end: by 2⁻⁸.
_TOLERANCE = {"float64": (1e-12, 1e-12), "float32": (2e-6, 2e-6), "bfloat16": (2**-8, 1e-5)}

every_operator = pytest.mark.parametrize("name", fusion.OPERATORS)


def _case(name, dtype="float32"):
    """Returns samples [16, d_m] in the dtype, and weights that are neither special nor rounded."""
    member = members.OPERATORS[name]
    rng = np.random.default_rng(0)
    xs = [jnp.asarray(rng.normal(size=(16, d)), dtype) for d in member.dims]
    weights = fusion.OPERATORS[name].init(jax.random.key(0), member.dims, member.dim)
    wide = "float64" if dtype == "float64" else "float32"
    nudge = lambda x: np.asarray(x) + 0.3 * rng.normal(size=x.shape)
    # Exact in every dtype, whatever an operator casts them to.
    short = lambda x: jnp.asarray(x.astype(jnp.bfloat16), wide)
    return xs, jax.tree.map(lambda x: short(nudge(x)), weights)


@functools.cache
def _compiled(name):
    """Value and gradients of one operator, jitted once for all tests."""
    apply = fusion.OPERATORS[name].apply

    def run(xs, weights, present):
        z, pull = jax.vjp(lambda xs, weights: apply(xs, weights, present=present), xs, weights)
        probe = jnp.cos(jnp.arange(z.size, dtype=jnp.float32)).reshape(z.shape)
        return z, pull(probe.astype(z.dtype))

    return jax.jit(run)


def _filled(xs, present, value):
    # On the host: a device computation that makes NaN is what `debug_nans` forbids.
    xs = [np.asarray(x) for x in xs]
    return [np.where(present[:, m, None], x, np.asarray(value, x.dtype)) for m, x in enumerate(xs)]


def _assert_finite(tree):
    for leaf in jax.tree.leaves(tree):
        assert np.isfinite(np.asarray(leaf, np.float64)).all()


def test_every_operator_is_a_member():
    assert set(members.OPERATORS) == set(fusion.OPERATORS)


@every_operator
@pytest.mark.parametrize("dtype", _TOLERANCE)
def test_equals_its_definition_on_the_present_subset(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        xs, weights = _case(name, dtype)
        got, _ = _compiled(name)(xs, weights, _PRESENT)
        assert got.dtype == dtype
        exact = lambda x: np.asarray(x, np.float64)
        xs, weights = [exact(x) for x in xs], jax.tree.map(exact, weights)
        oracle = members.OPERATORS[name].oracle
        expected = [
            oracle([x[i] for x in xs], weights, np.flatnonzero(present).tolist())
            for i, present in enumerate(_PRESENT)
        ]
        rtol, atol = _TOLERANCE[dtype]
        np.testing.assert_allclose(exact(got), expected, rtol=rtol, atol=atol)


@every_operator
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_absent_payload_changes_no_value_and_no_gradient(name, dtype):
    xs, weights = _case(name, dtype)
    run = _compiled(name)
    expected = run(_filled(xs, _PRESENT, 0.0), weights, _PRESENT)
    _assert_finite(expected)
    for m, slope in enumerate(expected[1][0]):
        assert not slope[~_PRESENT[:, m]].any()
    for payload in (np.nan, np.inf, -np.inf, 1e30):
        got = run(_filled(xs, _PRESENT, payload), weights, _PRESENT)
        jax.tree.map(np.testing.assert_array_equal, got, expected)


@every_operator
def test_zero_vectors_and_absence_of_everything_are_finite(name):
    xs, weights = _case(name)
    run = _compiled(name)
    _assert_finite(run([jnp.zeros_like(x) for x in xs], weights, _PRESENT))
    value, gradient = run(xs, weights, np.zeros_like(_PRESENT))
    _assert_finite((value, gradient))
    assert not value.any()
    assert not any(slope.any() for slope in gradient[0])


@every_operator
def test_a_sample_is_independent_of_its_batch(name):
    xs, weights = _case(name)
    run = _compiled(name)
    (expected, (slopes, _)) = run(xs, weights, _PRESENT)
    order = np.random.default_rng(1).permutation(16)
    permuted, _ = run([x[order] for x in xs], weights, _PRESENT[order])
    np.testing.assert_allclose(permuted, expected[order], rtol=1e-6, atol=1e-6)
    for i in (0, 5, 14):
        others = np.arange(16) != i
        foreign = [jnp.where(others[:, None], 1e3, x) for x in xs]
        got, (got_slopes, _) = run(foreign, weights, _PRESENT ^ others[:, None])
        np.testing.assert_allclose(got[i], expected[i], rtol=1e-6, atol=1e-6)
        for got_slope, slope in zip(got_slopes, slopes, strict=True):
            np.testing.assert_allclose(got_slope[i], slope[i], rtol=1e-5, atol=1e-6)


@every_operator
def test_vmap_over_samples_is_the_batch(name):
    xs, weights = _case(name)
    apply = fusion.OPERATORS[name].apply
    one = lambda xs, present: apply(xs, weights, present=present)
    expected, _ = _compiled(name)(xs, weights, _PRESENT)
    got = jax.jit(jax.vmap(one))(xs, _PRESENT)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@every_operator
def test_order_of_the_modalities_is_a_matter_of_names(name):
    reorder = members.OPERATORS[name].reorder
    if reorder is None:
        pytest.skip("the order of the modalities is part of the result")
    xs, weights = _case(name)
    expected, _ = _compiled(name)(xs, weights, _PRESENT)
    order = [2, 0, 1]
    got, _ = _compiled(name)([xs[m] for m in order], reorder(weights, order), _PRESENT[:, order])
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6)


@every_operator
def test_no_mask_means_all_present(name):
    xs, weights = _case(name)
    apply = jax.jit(fusion.OPERATORS[name].apply)
    everything = np.ones_like(_PRESENT)
    expected, _ = _compiled(name)(xs, weights, everything)
    np.testing.assert_allclose(apply(xs, weights), expected, rtol=1e-6, atol=1e-6)


@every_operator
def test_gradients_are_those_of_finite_differences(name, x64):
    xs, weights = _case(name, "float64")
    xs, present = [x[:8] for x in xs], _PATTERNS
    apply = jax.jit(functools.partial(fusion.OPERATORS[name].apply, present=present))
    check_grads(apply, (xs, weights), order=1, modes=["fwd", "rev"], atol=1e-7, rtol=1e-7)


@every_operator
def test_one_sample_and_one_compilation(name):
    xs, weights = _case(name)
    traces = []

    @jax.jit
    def apply(xs, weights, present):
        traces.append(1)
        return fusion.OPERATORS[name].apply(xs, weights, present=present)

    expected, _ = _compiled(name)(xs, weights, _PRESENT)
    for i in (15, 3):
        got = apply([x[i : i + 1] for x in xs], weights, _PRESENT[i : i + 1])
        np.testing.assert_allclose(got[0], expected[i], rtol=1e-6, atol=1e-6)
    assert len(traces) == 1


@every_operator
def test_runs_under_strict_promotion_nan_debugging_and_leak_checks(name, strict):
    xs, weights = _case(name)
    value, _ = _compiled(name)(_filled(xs, _PRESENT, np.nan), weights, _PRESENT)
    _assert_finite(value)
    for dtype in ("bfloat16", "float64"):
        with jax.enable_x64(dtype == "float64"):
            narrow = [jax.ShapeDtypeStruct(x.shape, dtype) for x in xs]
            # Shapes and dtypes only: nothing is compiled.
            value, _ = jax.eval_shape(_compiled(name), narrow, weights, _PRESENT)
            assert value.dtype == dtype


_BAD_SHAPES = {
    "rows": lambda xs, present: ([xs[0][:3], *xs[1:]], None),
    "scalar": lambda xs, present: ([jnp.float32(1), *xs[1:]], None),
    "empty": lambda xs, present: ([], None),
    "not a sequence": lambda xs, present: (xs[0], None),
    "present": lambda xs, present: (xs, present[:, :2]),
    "present of other samples": lambda xs, present: (xs, present[:5]),
}


@every_operator
@pytest.mark.parametrize("case", _BAD_SHAPES)
def test_bad_shapes_are_refused_by_name(name, case, no_jaxtyping):
    xs, weights = _case(name)
    xs, present = _BAD_SHAPES[case](xs, _PRESENT)
    with pytest.raises(ValueError, match=rf"^{name}: .+ must .+, got .+; .+\.$"):
        fusion.OPERATORS[name].apply(xs, weights, present=present)


@every_operator
def test_bad_types_are_refused_by_name(name, no_jaxtyping):
    xs, weights = _case(name)
    apply = fusion.OPERATORS[name].apply
    message = rf"^{name}: .+ must be .+, got .+; .+\.$"
    with pytest.raises(TypeError, match=message):
        apply([x.astype(jnp.int32) for x in xs], weights)
    with pytest.raises(TypeError, match=message):
        apply(xs, weights, present=_PRESENT.astype(np.float32))
