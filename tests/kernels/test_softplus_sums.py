"""Softplus sums over rows: the definition in NumPy float64, in slabs, in bounded memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pairs
import pytest

from crossmodal_jax.kernels import SoftplusSums, softplus_sums
from crossmodal_jax.kernels.pair_sums import _api, _softplus_sums_streamed, _xla

# Scale and bias.
SCALES = [(0.0, 0.0), (0.05, 1.0), (1.0, 0.0), (10.0, -10.0), (30.0, -3.0), (100.0, 20.0)]


def case(n, m, seed=0):
    """Both sides, masks, and cotangents."""
    x, y, masks, rng = pairs.case(n, m, seed)
    return x, y, masks, SoftplusSums(rng.normal(size=n), rng.normal(size=n))


def oracle(x, y, scale, bias, masks, slopes):
    """Values and gradients from the formulas in float64, and the sums of sizes of their terms."""
    scores, n = x @ y.T, len(x)
    z, kept = scale * scores + bias, np.outer(*masks)
    own = np.eye(n, len(y), dtype=bool) & kept
    softplus, sigmoid = np.logaddexp(0, z), np.exp(z - np.logaddexp(0, z))
    values = SoftplusSums(np.sum(softplus * kept, axis=1), np.sum(z * own, axis=1))
    share, mine = kept * sigmoid * slopes.rows[:, None], own * slopes.matches[:, None]
    results = []
    for g, a, b in (
        (share + mine, x, y),
        (np.abs(share) + np.abs(mine), np.abs(x), np.abs(y)),
    ):
        results.append((scale * g @ b, scale * g.T @ a, np.sum(g * (a @ b.T)), np.sum(g)))
    return values, *results


@functools.partial(jax.jit, static_argnames=("implementation", "block"))
def run(x, y, scale, bias, masks, slopes, implementation, block=512):
    streamed = functools.partial(_softplus_sums_streamed.softplus_sums, block=block)
    run = {"xla": _xla.softplus_sums, "streamed": streamed}[implementation]

    def sums(x, y, scale, bias):
        sides = _api._sides("test", x, y, affine=(scale, bias), masks=masks, exclude=None)
        return run(sides._replace(match=jnp.arange(len(x))), precision=x.dtype)

    values, pull = jax.vjp(sums, x, y, scale, bias)
    return values, pull(jax.tree.map(lambda a, b: a.astype(b.dtype), slopes, values))


@pytest.mark.parametrize("implementation", ["streamed", "xla"])
@pytest.mark.parametrize(("n", "m", "block"), pairs.SIZES)
def test_values_and_gradients_are_those_of_numpy(n, m, block, implementation):
    x, y, some, slopes = case(n, m)
    every = np.ones(n, bool), np.ones(m, bool)
    for dtype in ("float32", "bfloat16"):
        inputs, given = pairs.inputs(x, y, dtype)
        for scale, bias in SCALES:
            for masks in (every, some):
                numbers = np.float32(scale), np.float32(bias)
                got = run(*inputs, *numbers, masks, slopes, implementation, block)
                expected = oracle(*given, scale, float(numbers[1]), masks, slopes)
                # A logit has an absolute error of its size, and sigmoid the same relative one.
                exact = 1e-6 * (1 + scale + abs(bias))
                pairs.assert_close(got, expected, exact, exact if dtype == "float32" else 2**-7)


@pytest.mark.parametrize(("scale", "bias"), SCALES)
def test_float64_is_exact(scale, bias, x64):
    x, y, masks, slopes = case(100, 120, seed=1)
    got = run(x, y, scale, bias, masks, slopes, "streamed", 32)
    pairs.assert_close(got, oracle(x, y, scale, bias, masks, slopes), 1e-12)


def test_even_slopes_take_one_pass_and_others_two(monkeypatch):
    x, y, masks, _ = case(20, 20, seed=3)
    x, y = jnp.float32(x), jnp.float32(y)
    sums = lambda x: softplus_sums(
        x, y, where=masks[0], where_y=masks[1], implementation="streamed"
    )
    values, pull = jax.vjp(sums, x)
    # From here on another pass would show.
    spoiled = lambda _block, _precision, sides, _slopes: (
        jax.tree.map(lambda v: jnp.full_like(v, jnp.nan), sides[:4]),
        None,
    )
    monkeypatch.setattr(_softplus_sums_streamed, "pull_of", spoiled)
    even = SoftplusSums(jnp.full(20, 0.3), jnp.full(20, -0.3))
    assert np.isfinite(pull(even)[0]).all()
    assert np.isnan(pull(even._replace(rows=values.rows))[0]).any()


def test_slopes_of_any_kind_are_exact(x64):
    x, y, masks, slopes = case(100, 120, seed=2)
    mean = SoftplusSums(np.full(100, 0.3), np.full(100, -0.3))
    one_less = np.where(np.arange(100) == np.flatnonzero(masks[0])[5], 0.2, 0.3)
    uneven = [mean._replace(matches=-one_less), mean._replace(rows=one_less)]
    for keep in (masks, (np.ones(100, bool), np.ones(120, bool))):
        for given in (mean, *uneven, mean._replace(rows=slopes.rows)):
            got = run(x, y, 10.0, -10.0, keep, given, "streamed", 32)
            pairs.assert_close(got, oracle(x, y, 10.0, -10.0, keep, given), 1e-12)


def test_payload_of_dropped_rows_has_no_influence():
    x, y, masks, slopes = case(40, 40, seed=4)
    filled = functools.partial(pairs.filled, x, y, masks)
    numbers = np.float32(10.0), np.float32(-10.0)
    expected = run(*filled(0.0), *numbers, masks, slopes, "streamed", 16)
    for payload in (np.nan, np.inf, 1e30):
        got = run(*filled(payload), *numbers, masks, slopes, "streamed", 16)
        jax.tree.map(np.testing.assert_array_equal, got, expected)
    # Nor have the slopes of what is dropped.
    bad = SoftplusSums(
        np.where(masks[0], slopes.rows, np.nan),
        np.where(masks[0] & masks[1], slopes.matches, np.nan),
    )
    got = run(*filled(0.0), *numbers, masks, bad, "streamed", 16)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    nothing = run(*filled(0.0), *numbers, (np.zeros(40, bool),) * 2, slopes, "streamed", 16)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(nothing))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("n", "d", "mib"), [(16_384, 256, 64), (1_048_576, 64, 1536)])
def test_memory_is_linear(n, d, mib, precision):
    def loss(x, y, scale, bias):
        options = {"implementation": "streamed", "precision": precision}
        sums = softplus_sums(x, y, scale=scale, bias=bias, **options)
        return jnp.mean(sums.rows - sums.matches)

    side, number = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((n, d), ()))
    gradient = jax.jit(jax.value_and_grad(loss, (0, 1, 2, 3)))
    compiled = gradient.lower(side, side, number, number).compile()
    # All logits would take 1 GiB and 4 TiB.
    assert compiled.memory_analysis().temp_size_in_bytes <= mib * 2**20


def test_bad_arguments_are_named(no_jaxtyping):
    x = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"softplus_sums: `x` and `y` must be .*=\(3, 4\)"):
        softplus_sums(x, jnp.ones((3, 4)))
    with pytest.raises(ValueError, match=r"softplus_sums: .* at least 3 rows, got 2"):
        softplus_sums(x, x[:2])
