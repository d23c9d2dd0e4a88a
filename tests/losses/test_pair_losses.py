"""Losses over the scores of all pairs: a NumPy sweep in slabs, slabs against the whole, memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import losses_pairs as oracles
import numpy as np
import pytest

from crossmodal_jax import losses
from crossmodal_jax.kernels.pair_sums import _by_rows

NUM = 33
SCALES = np.array([0.0, 1.0, 128.0], np.float32)  # powers of two: exact in bfloat16


class Data(NamedTuple):
    """What the losses take, of n rows; [keep] of all of it is the data of the kept rows."""

    x: np.ndarray
    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    labels: np.ndarray
    targets: np.ndarray

    def kept(self, keep):
        *rows, targets = (np.asarray(leaf)[keep] for leaf in self)
        wide = [z.astype(np.float64) if z.ndim > 1 else z for z in rows]
        return Data(*wide, targets[:, keep].astype(np.float64))


def data(n=NUM, dtype="float32"):
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(4, n, 5))
    sides = sides / np.linalg.norm(sides, axis=-1, keepdims=True)
    # Most rows and columns have some target, a few have none.
    targets = rng.random((n, n)) * (rng.random((n, n)) < 0.1)
    *sides, targets = (z.astype(jnp.dtype(dtype)) for z in (*sides, targets))
    return Data(*sides, rng.integers(0, 6, n, dtype=np.int32), targets)


def _masks():
    rows = np.arange(NUM)
    random = np.random.default_rng(1).random(NUM) < 0.6
    return np.stack([rows < n for n in (0, 1, 2, 7, NUM)] + [random])


def _given(d, scale):
    rows, columns = (d.targets.sum(k, keepdims=True) for k in (1, 0))
    q = [oracles.mixed(d.targets / np.where(s > 0, s, 1), 0.7) for s in (rows, columns)]
    return oracles.soft_target_loss(d.x, d.y, *q, scale)


# From data, scale and mask to the loss, and from the kept data and the scale to its definition.
CASES = {
    "hinge_loss": (
        lambda d, s, keep: losses.hinge_loss(s * d.x, d.y, where=keep),
        lambda d, s: oracles.hinge_loss(s * d.x, d.y),
    ),
    "hinge_loss/hardest": (
        lambda d, s, keep: losses.hinge_loss(s * d.x, d.y, hardest=True, where=keep),
        lambda d, s: oracles.hinge_loss(s * d.x, d.y, hardest=True),
    ),
    "multi_similarity_loss": (
        lambda d, s, keep: losses.multi_similarity_loss(
            s * d.x, labels=d.labels, alpha=1.5, beta=5.0, threshold=0.1, where=keep
        ),
        lambda d, s: oracles.multi_similarity_loss(s * d.x, d.labels, None, 1.5, 5.0, 0.1),
    ),
    "circle_loss/two sides": (
        lambda d, s, keep: losses.circle_loss(d.x, d.y, labels=d.labels, scale=s, where=keep),
        lambda d, s: oracles.circle_loss(d.x, d.labels, d.y, scale=s),
    ),
    "soft_target_loss/teacher": (
        lambda d, s, keep: losses.soft_target_loss(
            d.x,
            d.y,
            teacher=(d.u, d.v),
            teacher_scale=s,
            weight=jnp.float32(0.4),
            logit_scale=s,
            where=keep,
        ),
        lambda d, s: oracles.distilled_loss(d.x, d.y, d.u, d.v, s, s, 0.4),
    ),
    "soft_target_loss/given": (
        lambda d, s, keep: losses.soft_target_loss(
            d.x, d.y, targets=d.targets, weight=0.7, logit_scale=s, where=keep
        ),
        _given,
    ),
}


@pytest.fixture
def slabs(monkeypatch):
    """Loops over slabs of seven rows, and a rest of five."""

    def choose():
        monkeypatch.setattr(_by_rows, "_FEW", 0)
        monkeypatch.setattr(_by_rows, "_ELEMENTS", 8 * NUM)

    return choose


def program(loss):
    """Values and gradients by both sides, over scales and masks."""

    def of_one(d, scale, keep):
        def total(x, y):
            values = loss(d._replace(x=x, y=y), scale.astype(x.dtype), keep)
            return jnp.sum(values * jnp.cos(jnp.arange(NUM, dtype=values.dtype))), values

        return jax.grad(total, (0, 1), has_aux=True)(d.x, d.y)

    over_masks = jax.vmap(of_one, (None, None, 0))
    return jax.vmap(over_masks, (None, 0, None))


# All of them take bfloat16 to float32 at once, which the contract sees too.
@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_slabs_match_numpy_and_the_whole(name, dtype, slabs):
    loss, oracle = CASES[name]
    given, masks = data(dtype=dtype), _masks()

    @jax.jit
    def run(*args):
        whole = program(loss)(*args) if dtype == "float32" else None
        slabs()
        return whole, program(loss)(*args)

    whole, (slopes, values) = run(given, SCALES, masks)
    assert values.dtype == jnp.float32
    for s, scale in enumerate(SCALES):
        for m, keep in enumerate(masks):
            expected = np.zeros(NUM)
            if keep.any():
                expected[keep] = oracle(given.kept(keep), float(scale))
            # A score of size s has an error of s roundings, and so has what it is subtracted from.
            atol = 2e-6 * (10 + scale)
            np.testing.assert_allclose(values[s, m], expected, rtol=1e-5, atol=atol)
    for slope in slopes:
        assert np.isfinite(np.asarray(slope, np.float32)).all()
    if whole is not None:
        for mine, theirs in zip(slopes, whole[0], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-3 * np.abs(theirs).max())


def gradient_bytes(loss, *shapes, num):
    """Temporary bytes of value and gradient by the first `num` arguments."""
    mean = lambda *args: jnp.mean(loss(*args))
    shapes = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    compiled = jax.jit(jax.value_and_grad(mean, tuple(range(num)))).lower(*shapes).compile()
    return compiled.memory_analysis().temp_size_in_bytes


SIDE, MASK, LABELS = ((16_384, 256), "float32"), ((16_384,), "bool"), ((16_384,), "int32")


@pytest.mark.parametrize(
    ("loss", "sides", "others"),
    [
        (lambda x, y, keep: losses.hinge_loss(x, y, where=keep), 2, [MASK]),
        (lambda x, y, keep: losses.hinge_loss(x, y, hardest=True, where=keep), 2, [MASK]),
        (
            lambda x, keep, labels: losses.multi_similarity_loss(x, labels=labels, where=keep),
            1,
            [MASK, LABELS],
        ),
        (
            lambda x, y, keep, labels: losses.circle_loss(x, y, labels=labels, where=keep),
            2,
            [MASK, LABELS],
        ),
        (
            lambda x, y, keep, *t: losses.soft_target_loss(x, y, teacher=t, weight=0.4, where=keep),
            2,
            [MASK, SIDE, SIDE],
        ),
        (
            lambda x, y, keep, t: losses.soft_target_loss(x, y, targets=t, where=keep),
            2,
            [MASK, ((16_384, 16_384), "float32")],
        ),
    ],
    ids=["hinge", "hardest", "multi-similarity", "circle", "teacher", "targets"],
)
def test_memory_is_linear(loss, sides, others):
    # All scores would take 1 GiB; a side takes 16 MiB, as does its slope.
    limit = (32 + 16 * sides) * 2**20
    assert gradient_bytes(loss, *[SIDE] * sides, *others, num=sides) <= limit
