"""Sums over pairs by kernels for Hopper GPUs: interpreted on a CPU, and lowered for a GPU.

Neither runs one there. What interpretation leaves open, layouts in registers and memory, is
decided when a kernel is lowered, which fails where they do not fit.
"""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pairs
import pytest
import test_log_sums
import test_softplus_sums

from crossmodal_jax.kernels import LogSums, log_sums, softplus_sums
from crossmodal_jax.kernels.pair_sums import _api, _mosaic

SUMS = {"log": log_sums, "softplus": softplus_sums}
# jax 0.10 has no public name for it.
INTERPRET = "jax._src.pallas.mosaic_gpu.interpret"


needs_pallas = pytest.mark.skipif(jax.__version_info__ < (0, 10, 2), reason="other names in Pallas")


@pytest.fixture
def interpret(monkeypatch):
    """Has the kernels interpreted from here on, and programs compiled anew."""
    params = pytest.importorskip(f"{INTERPRET}.params")

    def choose(**options):
        how = params.InterpretGPUParams(**options)
        for name in ("log_sums", "softplus_sums"):
            mine = functools.partial(getattr(_mosaic, name), interpret=how)
            monkeypatch.setattr(_mosaic, name, mine)
        run.clear_cache()

    yield choose
    run.clear_cache()


@pytest.fixture
def small_slabs(monkeypatch):
    """A slab is a single tile of rows."""
    sums = importlib.import_module("crossmodal_jax.kernels.pair_sums._mosaic_sums")
    monkeypatch.setattr(sums, "_ROWS", 128)


@functools.partial(jax.jit, static_argnames=("name", "implementation"))
def run(x, y, affine, masks, slopes, match=None, name="log", implementation="mosaic"):
    """Values and gradients with products of operands in bfloat16."""

    def sums(x, y, *affine):
        return SUMS[name](
            x,
            y,
            **dict(zip(("scale", "bias"), affine, strict=False)),
            where=masks[0],
            where_y=masks[1],
            matches=match,
            precision="bfloat16",
            implementation=implementation,
        )

    values, pull = jax.vjp(sums, x, y, *affine)
    return values, pull(jax.tree.map(lambda a, b: a.astype(b.dtype), slopes, values))


def case(module, n, m, d):
    """Sides of width d that bfloat16 holds, masks, and cotangents."""
    x, y, masks, slopes = module.case(n, m)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(d, 6)))[0].T
    x, y = (np.asarray(jnp.asarray(z @ turn, "bfloat16"), np.float32) for z in (x, y))
    return x, y, masks, slopes


def assert_log_sums(n, m, d, scales, match=None, end=None):
    x, y, some, slopes = case(test_log_sums, n, m, d)
    some = [mask & (np.arange(len(mask)) < (end or np.inf)) for mask in some]
    for scale in scales:
        # What is dropped holds anything.
        masks, payload = (some, np.nan) if scale else ((np.ones(n, bool), np.ones(m, bool)), 0.0)
        given = pairs.filled(x, y, masks, payload), [np.float32(scale)], masks, slopes, match
        sides = np.float64(x), np.float64(y)
        expected = test_log_sums.oracle(*sides, scale, masks, slopes, match)
        check(given, expected, 1e-6 * (1 + scale), "log")


def assert_softplus_sums(n, m, d, scales):
    x, y, some, slopes = case(test_softplus_sums, n, m, d)
    for scale, bias in scales:
        masks, payload = (some, np.nan) if scale else ((np.ones(n, bool), np.ones(m, bool)), 0.0)
        numbers = np.float32(scale), np.float32(bias)
        given = pairs.filled(x, y, masks, payload), numbers, masks, slopes, None
        sides = np.float64(x), np.float64(y)
        expected = test_softplus_sums.oracle(*sides, scale, bias, masks, slopes)
        check(given, expected, 1e-6 * (1 + scale + abs(bias)), "softplus")


def check(given, expected, exact, name):
    """Compares with the oracle, and with the plain implementation."""
    inputs, *rest = given
    got = run(*inputs, *rest, name=name)
    # A slope in bfloat16 has its relative error.
    pairs.assert_close(got, expected, exact, 2**-8)
    plain = run(*inputs, *rest, name=name, implementation="xla")
    pairs.assert_close(got, (*plain, expected[-1]), exact, 2**-7)


@needs_pallas
def test_log_sums_are_those_of_numpy(interpret):
    # Two tiles either way and three steps along d, of which the last are not full.
    interpret()
    match = np.random.default_rng(2).integers(0, 150, 130)
    assert_log_sums(130, 150, 130, (0.0, 1.0, 30.0, 100.0), match)
    # In a tile all is dropped.
    assert_log_sums(130, 150, 130, (100.0,), match, end=128)


@needs_pallas
def test_softplus_sums_are_those_of_numpy(interpret, small_slabs):
    interpret()
    assert_softplus_sums(130, 150, 70, ((0.0, 0.0), (1.0, -16.0), (30.0, 3.0)))


@needs_pallas
@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 6), (3, 300, 64), (257, 260, 320)])
def test_any_sizes_are_those_of_numpy(n, m, d, interpret):
    interpret()
    assert_log_sums(n, m, d, (0.0, 0.05, 59.0, 61.0))
    assert_softplus_sums(n, m, d, ((0.0, 0.0), (0.05, 1.0), (10.0, -10.0), (100.0, 20.0)))


@needs_pallas
@pytest.mark.slow
def test_log_sums_of_several_slabs_are_those_of_numpy(interpret, small_slabs):
    interpret()
    assert_log_sums(300, 310, 6, (1.0, 100.0))


@needs_pallas
@pytest.mark.slow
def test_slope_of_a_good_match_is_kept(interpret):
    # All pairs match well: the slope of a match is −1 plus a share near 1.
    interpret()
    rng = np.random.default_rng(6)
    y = pairs.unit(rng.normal(size=(64, 128)))
    x = pairs.unit(y + 0.02 * rng.normal(size=(64, 128)))
    x, y = (np.asarray(jnp.asarray(z, "bfloat16"), np.float32) for z in (x, y))
    slopes = LogSums(*(np.full(64, w) for w in (0.5, 0.5, -1.0)))
    every = [np.ones(64, bool)] * 2
    got = run(x, y, [np.float32(5.0)], every, slopes)[1]
    expected = test_log_sums.oracle(np.float64(x), np.float64(y), 5.0, every, slopes)[1]
    for mine, theirs in zip(got, expected, strict=True):
        assert np.linalg.norm(mine - theirs) < 5e-3 * np.linalg.norm(theirs)


@needs_pallas
@pytest.mark.slow
def test_nothing_races(interpret):
    races = pytest.importorskip(f"{INTERPRET}.interpret_pallas_call").get_races
    interpret(detect_races=True)
    for name, module, affine in (
        ("log", test_log_sums, {"scale": 1.0}),
        ("log", test_log_sums, {"scale": 100.0}),
        ("softplus", test_softplus_sums, {"scale": 1.0}),
    ):
        x, y, *_ = case(module, 130, 150, 130)
        sums = functools.partial(
            SUMS[name], **affine, precision="bfloat16", implementation="mosaic"
        )
        values, pull = jax.vjp(sums, x, y)
        jax.block_until_ready(values)
        # Those of the last kernel, of which there is one each way.
        assert not races().races_found
        jax.block_until_ready(pull(values))
        assert not races().races_found


def kernels_for_a_gpu(name, d, scale, axes=None):
    """Lowers the gradient of a loss, or of one for each scale, and counts the kernels in it."""

    def loss(x, y, scale):
        sums = SUMS[name](x, y, scale=scale, precision="bfloat16", implementation="mosaic")
        return jnp.mean(sums.rows - sums.matches)

    function = jax.value_and_grad(loss, (0, 1, 2))
    function = jax.vmap(function, axes) if axes else function
    x, y = (jax.ShapeDtypeStruct((n, d), jnp.float32) for n in (10_000, 20_000))
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        traced = jax.jit(function).trace(x, y, np.float32(scale))
        text = traced.lower(lowering_platforms=("cuda",)).as_text()
    return text.count("stablehlo.custom_call @mosaic_gpu")


@needs_pallas
@pytest.mark.parametrize(("name", "kernels"), [("log", 4), ("softplus", 2)])
@pytest.mark.parametrize("d", [64, 200])  # one step, and more than are on their way at once
def test_kernels_lower_for_a_gpu(name, kernels, d, monkeypatch):
    monkeypatch.setattr(_mosaic, "_refuse", lambda *_: None)
    assert kernels_for_a_gpu(name, d, 1.0) == kernels


@needs_pallas
@pytest.mark.slow
@pytest.mark.parametrize(("name", "kernels"), [("log", 4), ("softplus", 2)])
def test_kernels_map_over_scales(name, kernels, monkeypatch):
    monkeypatch.setattr(_mosaic, "_refuse", lambda *_: None)
    assert kernels_for_a_gpu(name, 64, [1.0, 100.0], (None, None, 0)) == kernels


def test_what_cannot_run_is_refused(monkeypatch, no_jaxtyping):
    x = jnp.ones((3, 2))
    for sums in SUMS.values():
        ask = functools.partial(sums, implementation="mosaic")
        with pytest.raises(
            NotImplementedError, match=r"'mosaic' \(needs (a GPU of .* 9.0, got cpu|jax)"
        ):
            ask(x, x, precision="bfloat16")
        with pytest.raises(NotImplementedError, match=r'needs precision="bfloat16", got float32'):
            ask(x, x)
        with pytest.raises(NotImplementedError, match=r"needs rows on either side and a width"):
            ask(x[:, :0], x[:, :0], precision="bfloat16")
    many = jnp.broadcast_to(jnp.ones(2, jnp.bfloat16), (8_388_481, 2))
    with pytest.raises(NotImplementedError, match=r"takes up to 8388480 rows of y, got 8388481"):
        log_sums(x, many, precision="bfloat16", implementation="mosaic")
    ask = functools.partial(log_sums, implementation="mosaic", precision="bfloat16")
    with pytest.raises(NotImplementedError, match=r"leaves out no single pairs"):
        ask(x, x, exclude=jnp.arange(3))


def test_the_kernels_are_taken_by_name_only(monkeypatch):
    x = jnp.ones((8, 2), jnp.bfloat16)
    monkeypatch.setattr(_api, "_FEW", 63)
    monkeypatch.setattr(_mosaic, "_refuse", lambda *_: pytest.fail("was asked"))
    assert np.isfinite(log_sums(x, x).rows).all()
