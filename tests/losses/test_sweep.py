"""Losses over all pairs, in slabs, against NumPy: sizes, scales, dtypes and masks, by night."""

import functools

import jax
import jax.numpy as jnp
import losses_contrastive as softmax
import losses_pairs as margins
import numpy as np
import pytest

from crossmodal_jax import losses
from crossmodal_jax.kernels.pair_sums import _by_rows, _tiles

SCALES = np.array([0.0, 0.05, 1.0, 14.0, 30.0, 100.0], np.float32)


def _streamed(loss, *arrays, scale, keep, **options):
    return loss(*arrays, logit_scale=scale, where=keep, implementation="streamed", **options)


# The loss of sides, labels, scale and mask; its definition on what is kept.
LOSSES = {
    "clip_loss": (
        lambda x, y, labels, s, keep: _streamed(losses.clip_loss, x, y, scale=s, keep=keep),
        lambda x, y, labels, s: softmax.clip_loss(x, y, s),
    ),
    "siglip_loss": (
        lambda x, y, labels, s, keep: _streamed(losses.siglip_loss, x, y, scale=s, keep=keep),
        lambda x, y, labels, s: softmax.siglip_loss(x, y, s),
    ),
    "supcon_loss": (
        lambda x, y, labels, s, keep: _streamed(
            losses.supcon_loss, x, labels=labels, scale=s, keep=keep
        ),
        lambda x, y, labels, s: softmax.supcon_loss(x, labels, s),
    ),
    "supcon_loss/two sets": (
        lambda x, y, labels, s, keep: _streamed(
            losses.supcon_loss, x, y, labels=labels, scale=s, keep=keep
        ),
        softmax.supcon_loss_of_two,
    ),
    "ntxent_loss": (
        lambda x, y, labels, s, keep: _streamed(losses.ntxent_loss, x, y, scale=s, keep=keep),
        lambda x, y, labels, s: softmax.ntxent_loss(x, y, s),
    ),
    "hard_negative_loss": (
        lambda x, y, labels, s, keep: _streamed(
            losses.hard_negative_loss, x, y, scale=s, keep=keep, positive_weight=0.7
        ),
        lambda x, y, labels, s: softmax.hard_negative_loss(x, y, s),
    ),
    "hinge_loss": (
        lambda x, y, labels, s, keep: losses.hinge_loss(x, y, margin=s, where=keep),
        lambda x, y, labels, s: margins.hinge_loss(x, y, s),
    ),
    "multi_similarity_loss": (
        lambda x, y, labels, s, keep: losses.multi_similarity_loss(
            x, y, labels=labels, beta=s + 1, where=keep
        ),
        lambda x, y, labels, s: margins.multi_similarity_loss(x, labels, y, beta=s + 1),
    ),
}


@pytest.fixture
def small_slabs(monkeypatch):
    """Slabs of some ten rows, that divide a power of two and no prime."""
    monkeypatch.setattr(_tiles, "_SLAB_BYTES", 2**14)
    monkeypatch.setattr(_by_rows, "_FEW", 0)
    monkeypatch.setattr(_by_rows, "_ELEMENTS", 2**12)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 7, 128, 129, 257])
@pytest.mark.parametrize("name", LOSSES)
def test_slabs_are_those_of_numpy(name, n, small_slabs):
    loss, oracle = LOSSES[name]
    rng = np.random.default_rng(n)
    y = rng.normal(size=(n, 5))
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (y + rng.normal(size=(n, 5)), y))
    labels, rows = rng.integers(0, 4, n), np.arange(n)
    masks = np.stack([rows >= 0, rng.random(n) < 0.6, rows == n - 1, rows < 0])

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, None, None, 0))
    def run(x, y, scales, keep):
        def total(x, y, scale):
            values = loss(x, y, labels, scale, keep)
            return jnp.sum(values), values

        # One after the other: XLA for CPU lacks products of bfloat16 of which one side is mapped.
        gradient = jax.grad(total, (0, 1, 2), has_aux=True)
        return jax.lax.map(lambda scale: gradient(x, y, scale), scales)

    for dtype in ("float32", "bfloat16"):
        given = [jnp.asarray(z, dtype) for z in (x, y)]
        slopes, values = run(*given, SCALES.astype(given[0].dtype), masks)
        exact = [np.asarray(z, np.float64) for z in given]
        for m, keep in enumerate(masks):
            kept = [z[keep] for z in exact]
            for s, scale in enumerate(np.asarray(SCALES.astype(given[0].dtype), np.float64)):
                expected = np.zeros(n)
                if keep.any():
                    expected[keep] = oracle(*kept, labels[keep], scale)
                # A logit of size s has an error of s roundings.
                atol = 2e-6 * (1 + scale) * max(1, np.abs(expected).max() / 10)
                np.testing.assert_allclose(values[m, s], expected, rtol=1e-5, atol=atol)
        for slope in jax.tree.leaves(slopes):
            assert np.isfinite(np.asarray(slope, np.float32)).all()
