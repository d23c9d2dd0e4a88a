"""Losses of rows on eight devices: those on one, value and gradient, without any gather."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from crossmodal_jax import kernels, losses, parallel

_NUM = 40
_ROWS = PartitionSpec("data")


def _clip(loss, x, y, labels, scale, **options):
    return loss(x, y, logit_scale=scale, **options)


def _siglip(loss, x, y, labels, scale, **options):
    return loss(x, y, logit_scale=scale, bias=scale - 4, **options)


def _supcon(loss, x, y, labels, scale, **options):
    return loss(x, labels=labels, logit_scale=scale, **options)


def _supcon_of_two(loss, x, y, labels, scale, **options):
    return loss(x, y, labels=labels, logit_scale=scale, **options)


LOSSES = {
    "clip": (_clip, losses.clip_loss, parallel.ring_clip_loss),
    "siglip": (_siglip, losses.siglip_loss, parallel.ring_siglip_loss),
    "supcon": (_supcon, losses.supcon_loss, parallel.ring_supcon_loss),
    "supcon/two sets": (_supcon_of_two, losses.supcon_loss, parallel.ring_supcon_loss),
}


# By day what the losses differ in; by night every one in every way.
_slow = functools.partial(pytest.param, marks=pytest.mark.slow)
BY_DAY = "clip", "supcon/two sets"
MOSTLY_BY_NIGHT = [name if name in BY_DAY else _slow(name) for name in LOSSES]


def _case():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, _NUM, 6))
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y + x))
    keep = rng.uniform(size=_NUM) < 0.8
    # The second device has nothing to keep; some labels are on one device alone.
    keep[5:10] = False
    # Even cotangents, of which some losses make use, and others.
    weights = np.stack([np.ones(_NUM), rng.normal(size=_NUM)])
    return x, y, rng.integers(0, 9, size=_NUM, dtype=np.int32), keep, weights


def _gradients(loss):
    """Value and gradients by x, y and the scale, for each of the weights."""

    def total(x, y, scale, labels, keep, weights):
        return jnp.sum(weights * loss(x, y, labels, scale, where=keep))

    return jax.value_and_grad(total, (0, 1, 2))


def _mesh(kind):
    return jax.make_mesh((8,), ("data",), axis_types=(kind,))


def _on_ring(name, mesh):
    run, _, ring = LOSSES[name]
    return _gradients(functools.partial(run, parallel.over_rows(ring, mesh)))


def _arguments(mesh=None):
    x, y, labels, keep, weights = _case()
    if mesh is not None:
        put = lambda v: jax.device_put(v, NamedSharding(mesh, _ROWS))
        x, y, labels, keep = map(put, (x, y, labels, keep))
        weights = jax.device_put(weights, NamedSharding(mesh, PartitionSpec(None, "data")))
    return x, y, labels, keep, weights


@functools.cache
def _expected(name, scale):
    run, plain, _ = LOSSES[name]
    x, y, labels, keep, weights = _case()
    one = jax.jit(_gradients(functools.partial(run, plain)))
    return [one(x, y, scale, labels, keep, w) for w in weights]


def _assert_same(name, scale, function, arguments):
    x, y, labels, keep, weights = arguments
    for w, expected in zip(weights, _expected(name, scale), strict=True):
        got = function(x, y, scale, labels, keep, w)
        for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, AxisType.Auto) for name in LOSSES),
        ("siglip", AxisType.Explicit),
        *(_slow(name, AxisType.Explicit) for name in LOSSES if name != "siglip"),
    ],
)
def test_ring_on_eight_devices_is_one_device(name, kind, x64):
    mesh = _mesh(kind)
    run = jax.jit(_on_ring(name, mesh))
    for scale in (2.0, 200.0):  # below and beyond what needs no maxima
        _assert_same(name, scale, run, _arguments(mesh))
    if kind == AxisType.Explicit:
        _assert_same(name, 2.0, run, _arguments())  # rows that are not yet spread


@pytest.mark.parametrize("name", MOSTLY_BY_NIGHT)
def test_ring_inside_a_shard_map_without_types(name, x64):
    # `check_vma=False`, and over two axes of a mesh.
    run, _, ring = LOSSES[name]
    mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
    rows = PartitionSpec(("a", "b"))

    def local(x, y, labels, scale, where):
        return run(ring, x, y, labels, scale, where=where, axis_name=("a", "b"))

    spread = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(rows, rows, rows, PartitionSpec(), rows),
        out_specs=rows,
        check_vma=False,
    )
    gradients = _gradients(lambda *args, where: spread(*args, where))
    _assert_same(name, 2.0, jax.jit(gradients), _arguments())


@pytest.mark.parametrize("kind", [_slow(AxisType.Auto), AxisType.Explicit])
@pytest.mark.parametrize(
    ("name", "implementation"), [_slow("clip", "xla"), *((name, "streamed") for name in LOSSES)]
)
def test_plain_losses_take_any_mesh(name, implementation, kind, x64):
    run, plain, _ = LOSSES[name]
    wrapped = parallel.any_mesh(functools.partial(plain, implementation=implementation))
    function = jax.jit(_gradients(functools.partial(run, wrapped)))
    _assert_same(name, 2.0, function, _arguments(_mesh(kind)))
    _assert_same(name, 2.0, function, _arguments())


@pytest.mark.parametrize("dtype", [_slow("float32"), "bfloat16"])
@pytest.mark.parametrize("name", MOSTLY_BY_NIGHT)
def test_ring_in_single_precision_and_less(name, dtype):
    x, y, labels, keep, weights = _case()
    x, y = (jnp.asarray(z, dtype) for z in (x, y))
    arguments = np.float32(10), labels, keep, np.float32(weights[1])
    run, plain, _ = LOSSES[name]
    expected = jax.jit(_gradients(functools.partial(run, plain)))(x, y, *arguments)
    got = jax.jit(_on_ring(name, _mesh(AxisType.Auto)))(x, y, *arguments)
    assert got[1][0].dtype == dtype
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-6)
    for mine, theirs in zip(got[1], expected[1], strict=True):
        mine, theirs = (np.asarray(v, np.float64) for v in (mine, theirs))
        # In bfloat16 the weights of the gradient are rounded, and blocks add up otherwise.
        limit = (1e-6 if dtype == "float32" else 2**-6) * np.abs(theirs).max()
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=limit)


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_is_gathered(name):
    mesh = _mesh(AxisType.Auto)
    x, y, labels, keep, weights = _arguments(mesh)
    lowered = jax.jit(_on_ring(name, mesh)).lower(x, y, 2.0, labels, keep, weights[0])
    program = lowered.compile().as_text()
    assert "collective-permute" in program
    assert "all-gather" not in program
    assert "all-to-all" not in program


def test_a_number_may_stand_before_the_rows(x64):
    mesh = _mesh(AxisType.Explicit)
    x, y, *_ = _arguments(mesh)
    scale = jax.device_put(2.0, NamedSharding(mesh, PartitionSpec()))
    loss = parallel.any_mesh(lambda s, x, y: losses.clip_loss(x, y, logit_scale=s))
    plain = losses.clip_loss(*_case()[:2], logit_scale=2.0)
    got = jax.jit(loss)(scale, x, y)
    np.testing.assert_allclose(got, plain, rtol=1e-12)
    assert got.sharding.spec == _ROWS
    total = parallel.any_mesh(lambda x, y: jnp.sum(losses.clip_loss(x, y)))
    assert jax.jit(total)(x, y).sharding.is_fully_replicated


@pytest.mark.parametrize("which", ["rows", "matches"])
def test_uneven_slopes_of_one_kind_take_another_round(which, x64):
    # Of a mean both kinds are even; here one of them is.
    x, y, _, keep, _ = _case()
    ones = np.ones(_NUM)
    other = np.where(np.arange(_NUM) == np.flatnonzero(keep)[-1], 0.5, 1)
    by_rows, by_matches = (other, ones) if which == "rows" else (ones, other)

    def total(x, y, by_rows, by_matches, keep, axis_name=None):
        sums = kernels.softplus_sums(x, y, where=keep, where_y=keep, axis_name=axis_name)
        return by_rows * sums.rows - by_matches * sums.matches

    spread = parallel.over_rows(total, _mesh(AxisType.Auto))
    one, eight = (
        jax.jit(jax.grad(lambda *args, f=f: jnp.sum(f(*args)), (0, 1)))(
            x, y, by_rows, by_matches, keep
        )
        for f in (total, spread)
    )
    for mine, theirs in zip(eight, one, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-11)


PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from crossmodal_jax import parallel
parallel.initialize()
mesh, rank = parallel.data_mesh(), jax.process_index()
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2, 16, 5)).astype(np.float32)
labels, keep = rng.integers(0, 4, size=16), rng.uniform(size=16) < 0.8
mine = slice(8 * rank, 8 * rank + 8)
batch = parallel.shard_batch([v[mine] for v in (x, y, labels, keep)], mesh)
clip, siglip, supcon = (
    parallel.over_rows(ring, mesh)
    for ring in (parallel.ring_clip_loss, parallel.ring_siglip_loss, parallel.ring_supcon_loss)
)

def total(x, y, s, labels, keep):
    loss = clip(x, y, logit_scale=s, where=keep) + siglip(x, y, logit_scale=s, where=keep)
    loss += supcon(x, y, labels=labels, logit_scale=s, where=keep)
    return jnp.mean(loss)

value, grads = jax.jit(jax.value_and_grad(total, (0, 1, 2)))(*batch[:2], 3.0, *batch[2:])
local = [np.concatenate([np.asarray(s.data) for s in g.addressable_shards]) for g in grads[:2]]
numbers = [value, grads[2], *np.concatenate(local).ravel()]
print("RESULT", rank, *map(float, numbers), flush=True)
"""


@pytest.mark.slow
def test_two_processes_are_one(two_processes):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 16, 5)).astype(np.float32)
    labels, keep = rng.integers(0, 4, size=16), rng.uniform(size=16) < 0.8

    def total(x, y, s):
        options = {"logit_scale": s, "where": keep}
        loss = losses.clip_loss(x, y, **options) + losses.siglip_loss(x, y, **options)
        return jnp.mean(loss + losses.supcon_loss(x, y, labels=labels, **options))

    value, grads = jax.value_and_grad(total, (0, 1, 2))(x, y, 3.0)
    for rank, (number, *got) in enumerate(two_processes(PROGRAM)):
        assert number == rank
        local = np.concatenate([np.asarray(g)[8 * rank : 8 * rank + 8] for g in grads[:2]])
        expected = np.concatenate([[value, grads[2]], local.ravel()])
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_losses_that_are_made_of_one_device_take_a_mesh_of_their_own(x64):
    # Inside `shard_map` a plain loss is that of the local rows alone.
    x, y, *_ = _case()
    local = jax.shard_map(
        functools.partial(losses.clip_loss, implementation="streamed", logit_scale=3.0),
        mesh=_mesh(AxisType.Auto),
        in_specs=(_ROWS, _ROWS),
        out_specs=_ROWS,
    )
    got = jax.jit(local)(x, y)
    blocks = zip(x.reshape(8, 5, 6), y.reshape(8, 5, 6), strict=True)
    expected = [losses.clip_loss(a, b, logit_scale=3.0) for a, b in blocks]
    np.testing.assert_allclose(got, np.concatenate(expected), rtol=1e-12)


def test_bad_arguments_are_refused():
    mesh = _mesh(AxisType.Auto)
    with pytest.raises(ValueError, match=r"over_rows: `axis_name` must be an axis .*, got 'rows'"):
        parallel.over_rows(parallel.ring_clip_loss, mesh, axis_name="rows")
    loss = parallel.over_rows(parallel.ring_clip_loss, mesh)
    with pytest.raises(
        ValueError, match=r"over_rows: rows must divide over 8 devices, got .*\(7, 2"
    ):
        loss(jnp.ones((7, 2)), jnp.ones((7, 2)))
