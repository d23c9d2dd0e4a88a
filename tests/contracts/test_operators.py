"""The contract of every fusion operator, over all patterns of presence of its modalities."""

import functools
import itertools

import jax
import jax.numpy as jnp
import members
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import fusion

# Sums are taken in float32 at least, so that bfloat16 is rounded once a layer: by 2⁻⁸.
_ROUNDING = {"float64": 1e-12, "float32": 2e-6, "bfloat16": 2**-8}

every_operator = pytest.mark.parametrize("name", fusion.OPERATORS)
# Laws that compile anew are checked on one operator of each family by day, on all at night.
_BY_DAY = (
    "block",
    "compact_bilinear",
    "concat",
    "cross_attention",
    "evidential",
    "film",
    "gated",
    "late_product",
    "low_rank",
    "product_of_experts",
    "tensor_fusion",
    "weighted_sum",
)
one_of_each_family = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n not in _BY_DAY)) for n in fusion.OPERATORS],
)


def _present(name):
    """All 2^m patterns, two samples of each: one batch, and so one compilation, holds them."""
    patterns = itertools.product([False, True], repeat=len(members.OPERATORS[name].dims))
    return np.repeat(np.array(list(patterns)), 2, axis=0)


@functools.cache
def _initial_weights(name):
    member = members.OPERATORS[name]
    init = functools.partial(fusion.OPERATORS[name].init, dims=member.dims, dim=member.dim)
    return jax.jit(init)(jax.random.key(0))


@functools.cache
def _case(name, dtype="float32"):
    """Returns a sample for each pattern, and weights that are neither special nor rounded."""
    member = members.OPERATORS[name]
    rng = np.random.default_rng(0)
    xs = [jnp.asarray(x, dtype) for x in member.inputs(rng, len(_present(name)), member.dims)]
    weights = jax.tree.map(np.asarray, _initial_weights(name))
    wide = "float64" if dtype == "float64" else "float32"
    # Each by a share of its own spread, so that the result keeps its size.
    nudge = lambda x: np.asarray(x) + 0.3 * (np.std(x) or 1) * rng.normal(size=x.shape)
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
    where = [_like(present[:, m], x) for m, x in enumerate(xs)]
    return [
        np.where(keep, x, np.asarray(value, x.dtype)) for keep, x in zip(where, xs, strict=True)
    ]


def _like(rows, x):
    """Rows [n] with as many axes as `x`."""
    return rows.reshape(-1, *[1] * (x.ndim - 1))


def _tolerance(name):
    """What another order of the same float32 arithmetic may change."""
    digits = members.OPERATORS[name].roundings * _ROUNDING["float32"]
    return {"rtol": digits, "atol": digits}


def _assert_finite(tree):
    for leaf in jax.tree.leaves(tree):
        assert np.isfinite(np.asarray(leaf, np.float64)).all()


def test_every_operator_is_a_member():
    assert set(members.OPERATORS) == set(fusion.OPERATORS)


@every_operator
@pytest.mark.parametrize("dtype", _ROUNDING)
def test_equals_its_definition_on_the_present_subset(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        xs, weights = _case(name, dtype)
        got, _ = _compiled(name)(xs, weights, _present(name))
        assert got.dtype == dtype
        exact = lambda x: np.asarray(x, np.float64)
        xs, weights = [exact(x) for x in xs], jax.tree.map(exact, weights)
        oracle = members.OPERATORS[name].oracle
        expected = [
            oracle([x[i] for x in xs], weights, np.flatnonzero(present).tolist())
            for i, present in enumerate(_present(name))
        ]
        rtol = members.OPERATORS[name].roundings * _ROUNDING[dtype]
        # An entry that is a small difference of large terms has the error of those.
        atol = rtol * np.max(np.abs(expected))
        np.testing.assert_allclose(exact(got), expected, rtol=rtol, atol=atol)


@every_operator
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_absent_payload_changes_no_value_and_no_gradient(name, dtype):
    xs, weights = _case(name, dtype)
    run, present = _compiled(name), _present(name)
    expected = run(_filled(xs, present, 0.0), weights, present)
    _assert_finite(expected)
    for m, slope in enumerate(expected[1][0]):
        assert not slope[~present[:, m]].any()
    for payload in (np.nan, np.inf, -np.inf, 1e30):
        got = run(_filled(xs, present, payload), weights, present)
        jax.tree.map(np.testing.assert_array_equal, got, expected)


@every_operator
def test_zero_vectors_and_absence_of_everything_are_finite(name):
    xs, weights = _case(name)
    run, present = _compiled(name), _present(name)
    _assert_finite(run([jnp.zeros_like(x) for x in xs], weights, present))
    value, gradient = run(xs, weights, np.zeros_like(present))
    _assert_finite((value, gradient))
    # The same for every sample, for nothing of it is known.
    np.testing.assert_array_equal(value, np.broadcast_to(value[:1], value.shape))
    assert not any(slope.any() for slope in gradient[0])


@one_of_each_family
def test_a_sample_is_independent_of_its_batch(name):
    xs, weights = _case(name)
    run, present = _compiled(name), _present(name)
    (expected, (slopes, _)) = run(xs, weights, present)
    order = np.random.default_rng(1).permutation(len(present))
    permuted, _ = run([x[order] for x in xs], weights, present[order])
    np.testing.assert_allclose(permuted, expected[order], **_tolerance(name))
    for i in (0, len(present) // 3, len(present) - 2):
        others = np.arange(len(present)) != i
        foreign = [jnp.where(_like(others, x), 1e3, x) for x in xs]
        got, (got_slopes, _) = run(foreign, weights, present ^ others[:, None])
        np.testing.assert_allclose(got[i], expected[i], **_tolerance(name))
        for got_slope, slope in zip(got_slopes, slopes, strict=True):
            np.testing.assert_allclose(got_slope[i], slope[i], rtol=1e-5, atol=1e-6)


@one_of_each_family
def test_vmap_over_samples_is_the_batch(name):
    xs, weights = _case(name)
    apply = fusion.OPERATORS[name].apply
    one = lambda xs, present: apply(xs, weights, present=present)
    expected, _ = _compiled(name)(xs, weights, _present(name))
    got = jax.jit(jax.vmap(one))(xs, _present(name))
    np.testing.assert_allclose(got, expected, **_tolerance(name))


@one_of_each_family
def test_order_of_the_modalities_is_a_matter_of_names(name):
    reorder = members.OPERATORS[name].reorder
    if reorder is None:
        pytest.skip("the order of the modalities is part of the result")
    # In float64, where another order of the sums shows only as rounding.
    with jax.enable_x64(True):
        xs, weights = _case(name, "float64")
        present = _present(name)
        expected, _ = _compiled(name)(xs, weights, present)
        order = [*range(1, len(xs)), 0]
        moved = [xs[m] for m in order], reorder(weights, order), present[:, order]
        got, _ = _compiled(name)(*moved)
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-11)


@one_of_each_family
def test_no_mask_means_all_present(name):
    xs, weights = _case(name)
    apply = jax.jit(fusion.OPERATORS[name].apply)
    everything = np.ones_like(_present(name))
    expected, _ = _compiled(name)(xs, weights, everything)
    np.testing.assert_allclose(apply(xs, weights), expected, **_tolerance(name))


@one_of_each_family
def test_gradients_are_those_of_finite_differences(name, x64):
    xs, weights = _case(name, "float64")
    xs, present = [x[::2] for x in xs], _present(name)[::2]
    apply = jax.jit(functools.partial(fusion.OPERATORS[name].apply, present=present))
    step = members.OPERATORS[name].step
    check_grads(apply, (xs, weights), order=1, modes=["fwd", "rev"], atol=1e-7, rtol=1e-7, eps=step)


@one_of_each_family
def test_one_sample_and_one_compilation(name):
    xs, weights = _case(name)
    traces = []

    @jax.jit
    def apply(xs, weights, present):
        traces.append(1)
        return fusion.OPERATORS[name].apply(xs, weights, present=present)

    present = _present(name)
    expected, _ = _compiled(name)(xs, weights, present)
    for i in (len(present) - 1, 3):
        got = apply([x[i : i + 1] for x in xs], weights, present[i : i + 1])
        np.testing.assert_allclose(got[0], expected[i], **_tolerance(name))
    assert len(traces) == 1


# Leak checks trace everything anew: operators that are quick to trace by day.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n not in {"mean", "low_rank", "late_mean"}))
        for n in fusion.OPERATORS
    ],
)
def test_runs_under_strict_promotion_and_leak_checks(name, strict):
    # NaN debugging looks at results, and those are finite by the test of payloads. Here shapes
    # and dtypes are enough: nothing is compiled.
    xs, weights = _case(name)
    for dtype in ("bfloat16", "float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            typed = [jax.ShapeDtypeStruct(x.shape, dtype) for x in xs]
            value, _ = jax.eval_shape(_compiled(name), typed, weights, _present(name))
            assert value.dtype == dtype


_BAD_SHAPES = {
    "rows": lambda xs, present: ([xs[0][:3], *xs[1:]], None),
    "scalar": lambda xs, present: ([jnp.float32(1), *xs[1:]], None),
    "empty": lambda xs, present: ([], None),
    "not a sequence": lambda xs, present: (xs[0], None),
    "present": lambda xs, present: (xs, np.repeat(present, 2, axis=1)),
    "present of other samples": lambda xs, present: (xs, present[:5]),
}


@every_operator
@pytest.mark.parametrize("case", _BAD_SHAPES)
def test_bad_shapes_are_refused_by_name(name, case, no_jaxtyping):
    xs, weights = _case(name)
    xs, present = _BAD_SHAPES[case](xs, _present(name))
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
        apply(xs, weights, present=_present(name).astype(np.float32))


@every_operator
def test_number_of_weights_is_the_closed_formula(name):
    member = members.OPERATORS[name]
    leaves = jax.tree.leaves(_initial_weights(name))
    assert sum(x.size for x in leaves) == member.num_weights(member.dims, member.dim)
    assert all(x.dtype == jnp.float32 for x in leaves)


@every_operator
def test_every_weight_learns_from_one_step(name):
    xs, _ = _case(name)
    _, (_, slopes) = _compiled(name)(xs, _initial_weights(name), _present(name))
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        # Units that are off for all samples, as those of a ramp may be, are the exception.
        assert np.mean(np.asarray(slope) != 0) > 0.6, (path, np.mean(np.asarray(slope) != 0))


# One narrow and one wide case of each on every run, all of them at night.
_VARIANCES = [
    pytest.param(name, dims, dim, marks=[] if i < 2 else [pytest.mark.slow])
    for name, member in members.OPERATORS.items()
    for i, (dims, dim) in enumerate(member.widths)
]


@pytest.mark.parametrize(("name", "dims", "dim"), _VARIANCES)
def test_initial_variance_is_that_of_the_inputs(name, dims, dim):
    # Inputs of variance 1; eight draws of the weights, for small widths vary by themselves.
    operator, member = fusion.OPERATORS[name], members.OPERATORS[name]
    xs = [x.astype(np.float32) for x in member.inputs(np.random.default_rng(0), 64, dims)]

    @jax.jit
    def mean_square(keys):
        one = lambda key: jnp.mean(operator.apply(xs, operator.init(key, dims, dim)) ** 2)
        return jnp.mean(jax.lax.map(one, keys))

    inputs = np.mean([np.mean(x**2) for x in xs])
    assert 1 / 3 < mean_square(jax.random.split(jax.random.key(0), 8)) / inputs < 3
