"""Log-sums over rows and columns: the definition in NumPy float64, in slabs, in bounded memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pairs
import pytest

from crossmodal_jax.kernels import LogSums, log_sums
from crossmodal_jax.kernels.pair_sums import _api, _log_sums_streamed
from crossmodal_jax.kernels.pair_sums._sides import Sums

SCALES = (0.0, 0.05, 1.0, 14.0, 30.0, 100.0)


def case(n, m, seed=0):
    """Both sides, masks, and cotangents."""
    x, y, masks, rng = pairs.case(n, m, seed)
    return x, y, masks, LogSums(rng.normal(size=n), rng.normal(size=m), rng.normal(size=n))


def oracle(x, y, scale, masks, slopes, match=None):
    """Values and gradients (x, y, scale) from the formulas, row by row, in float64.

    And for each gradient the sum of the sizes of its terms, that the errors are compared with.
    """
    n, m = len(x), len(y)
    match = np.arange(n) if match is None else match
    scores = x @ y.T
    z = np.where(masks[0][:, None] & masks[1], scale * scores, -np.inf)
    rows, columns, matches = np.zeros(n), np.zeros(m), np.zeros(n)
    g, size = np.zeros((2, n, m))
    for values, lines, slope, out, sizes in (
        (rows, z, slopes.rows, g, size),
        (columns, z.T, slopes.columns, g.T, size.T),
    ):
        for i, line in enumerate(lines):
            if np.isfinite(line).any():
                top = line.max()
                values[i] = top + np.log(np.exp(line - top).sum())
                out[i] += slope[i] * np.exp(line - values[i])
                sizes[i] += np.abs(slope[i]) * np.exp(line - values[i])
    for i in range(n):
        if np.isfinite(z[i, match[i]]):
            matches[i] = z[i, match[i]]
            g[i, match[i]] += slopes.matches[i]
            size[i, match[i]] += np.abs(slopes.matches[i])
    gradients = scale * g @ y, scale * g.T @ x, np.sum(g * scores)
    x, y = np.abs(x), np.abs(y)
    sizes = scale * size @ y, scale * size.T @ x, np.sum(size * (x @ y.T))
    return LogSums(rows, columns, matches), gradients, sizes


@functools.cache
def program(implementation, block=None):
    @functools.partial(jax.jit, static_argnames="precision")
    def run(x, y, scale, masks, slopes, match=None, precision=None):
        def sums(x, y, scale):
            return log_sums(
                x,
                y,
                scale=scale,
                where=masks[0],
                where_y=masks[1],
                matches=match,
                precision=precision,
                implementation=implementation,
            )

        values, pull = jax.vjp(sums, x, y, scale)
        return values, pull(jax.tree.map(lambda a, b: a.astype(b.dtype), slopes, values))

    return run


@pytest.fixture
def blocks(monkeypatch):
    """Sets the rows of a slab; programs are compiled anew then."""

    def choose(block):
        small = functools.partial(_log_sums_streamed.log_sums, block=block)
        monkeypatch.setitem(_api._LOG_SUMS, "streamed", small)
        program.cache_clear()

    yield choose
    program.cache_clear()


@pytest.mark.parametrize("implementation", ["streamed", "xla"])
@pytest.mark.parametrize(("n", "m", "block"), pairs.SIZES)
def test_values_and_gradients_are_those_of_numpy(n, m, block, implementation, blocks):
    blocks(block)
    x, y, some, slopes = case(n, m)
    every = np.ones(n, bool), np.ones(m, bool)
    run = program(implementation)
    for dtype in ("float32", "bfloat16"):
        inputs, given = pairs.inputs(x, y, dtype)
        for scale in SCALES:
            for masks in (every, some):
                got = run(*inputs, np.float32(scale), masks, slopes)
                expected = oracle(*given, scale, masks, slopes)
                # A logit of size s has an absolute error of s roundings, its exponential the
                # same relative one.
                exact = 1e-6 * (1 + scale)
                # A weight in bfloat16 has its relative error, and so has a result.
                pairs.assert_close(got, expected, exact, exact if dtype == "float32" else 2**-7)


@pytest.mark.parametrize("scale", [10.0, 300.0])  # below and beyond what needs no maxima
def test_float64_is_exact(scale, blocks, x64):
    blocks(32)
    x, y, masks, slopes = case(100, 120, seed=1)
    got = program("streamed")(x, y, scale, masks, slopes)
    pairs.assert_close(got, oracle(x, y, scale, masks, slopes), 1e-12 * scale)


def test_any_row_may_be_the_match(blocks, x64):
    blocks(16)
    x, y, masks, slopes = case(40, 50, seed=2)
    match = np.random.default_rng(3).integers(0, 50, 40)
    for implementation in ("streamed", "xla"):
        got = program(implementation)(x, y, 5.0, masks, slopes, match)
        pairs.assert_close(got, oracle(x, y, 5.0, masks, slopes, match), 1e-12)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_payload_of_dropped_rows_has_no_influence(scale, blocks):
    blocks(16)
    x, y, masks, slopes = case(40, 40, seed=4)
    filled = functools.partial(pairs.filled, x, y, masks)
    run = program("streamed")
    expected = run(*filled(0.0), np.float32(scale), masks, slopes)
    for payload in (np.nan, np.inf, 1e30):
        got = run(*filled(payload), np.float32(scale), masks, slopes)
        jax.tree.map(np.testing.assert_array_equal, got, expected)
    # Nor have the slopes of what is dropped.
    lost = ~masks[0], ~masks[1], ~(masks[0] & masks[1])
    bad = LogSums(*(np.where(m, np.nan, v) for m, v in zip(lost, slopes, strict=True)))
    got = run(*filled(0.0), np.float32(scale), masks, bad)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    nothing = run(*filled(0.0), np.float32(scale), [np.zeros(40, bool)] * 2, slopes)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(nothing))


def test_logits_far_out_of_range_are_finite(blocks):
    blocks(16)
    x, y, masks, slopes = case(40, 40, seed=5)
    x, y = np.float32(1e2 * x), np.float32(1e2 * y)
    got = program("streamed")(x, y, np.float32(-50.0), masks, slopes)
    expected = oracle(np.float64(x), np.float64(y), -50.0, masks, slopes)
    # At this scale the softmax is a maximum, which rounding may move.
    pairs.assert_close(got, expected, 1e-6, 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(got))


def test_products_in_bfloat16_keep_the_slope_of_a_good_match(blocks):
    # All pairs match well: the slope of a match is −1 plus a share near 1.
    blocks(32)
    rng = np.random.default_rng(6)
    y = pairs.unit(rng.normal(size=(64, 128)))
    x = pairs.unit(y + 0.02 * rng.normal(size=(64, 128)))
    x, y = (np.asarray(jnp.asarray(z, "bfloat16"), np.float64) for z in (x, y))
    slopes = LogSums(*(np.full(64, w) for w in (0.5, 0.5, -1.0)))
    every = [np.ones(64, bool)] * 2
    inputs = [np.float32(z) for z in (x, y)]
    got = program("streamed")(*inputs, np.float32(5.0), every, slopes, precision="bfloat16")
    assert got[1][0].dtype == np.float32
    for mine, theirs in zip(got[1], oracle(x, y, 5.0, every, slopes)[1], strict=True):
        error = np.linalg.norm(mine - theirs) / np.linalg.norm(theirs)
        assert error < 5e-3, error


def gradient(n, d, precision):
    """The compiled gradient of InfoNCE of n pairs with a learned scale."""

    def loss(x, y, scale):
        sums = log_sums(x, y, scale=scale, implementation="streamed", precision=precision)
        return jnp.mean((sums.rows + sums.columns) / 2 - sums.matches)

    side = jax.ShapeDtypeStruct((n, d), jnp.float32)
    shapes = side, side, jax.ShapeDtypeStruct((), jnp.float32)
    return jax.jit(jax.value_and_grad(loss, (0, 1, 2))).lower(*shapes).compile()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("n", "d", "mib"), [(16_384, 256, 64), (1_048_576, 64, 1536)])
def test_memory_is_linear(n, d, mib, precision):
    # All logits would take 1 GiB and 4 TiB.
    assert gradient(n, d, precision).memory_analysis().temp_size_in_bytes <= mib * 2**20


def test_maps_over_scales(blocks):
    blocks(16)
    x, y, _, _ = case(20, 20, seed=7)
    x, y = jnp.float32(x), jnp.float32(y)
    loss = lambda s: jnp.sum(log_sums(x, y, scale=s, implementation="streamed").rows)
    scales = jnp.asarray([1.0, 30.0, 90.0])
    together = jax.jit(jax.vmap(jax.value_and_grad(loss)))(scales)
    for i, s in enumerate(scales):
        for mine, theirs in zip(together, jax.jit(jax.value_and_grad(loss))(s), strict=True):
            np.testing.assert_allclose(mine[i], theirs, rtol=1e-5)


def test_many_logits_are_streamed(monkeypatch, no_jaxtyping):
    x = jnp.ones((8, 2))
    calls = []
    monkeypatch.setitem(
        _api._LOG_SUMS, "streamed", lambda *_, **__: calls.append(1) or Sums(1, 2, 3)
    )
    log_sums(x, x)
    assert not calls
    monkeypatch.setattr(_api, "_FEW", 63)
    assert log_sums(x, x) == (1, 2, 3)
    assert calls


def test_bad_arguments_are_named(no_jaxtyping):
    x = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"log_sums: `x` and `y` must be .* y.shape=\(3, 4\)"):
        log_sums(x, jnp.ones((3, 4)))
    with pytest.raises(ValueError, match=r"needs at least 3 rows, got 2; pass matches"):
        log_sums(x, x[:2])
    with pytest.raises(ValueError, match=r"`matches` must be one whole number .* float32 \(3,\)"):
        log_sums(x, x, matches=jnp.ones(3))
    with pytest.raises(ValueError, match=r"`where_y` must have shape|`where` must have shape"):
        log_sums(x, x, where_y=jnp.ones(2, bool))
    with pytest.raises(ValueError, match=r"log_sums: `implementation` must be one of"):
        log_sums(x, x, implementation="stream")


def test_rows_on_eight_devices_are_those_on_one(blocks, x64):
    blocks(16)
    x, y, masks, slopes = case(64, 64, seed=8)
    expected = program("streamed")(x, y, 5.0, masks, slopes)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    inputs = jax.device_put((x, y, masks), jax.NamedSharding(mesh, jax.P("data")))
    got = program("streamed")(*inputs[:2], 5.0, inputs[2], slopes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12), got, expected)
