"""Losses over many modalities: the loss of two, symmetry, shuffled candidates."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from crossmodal_jax import losses
from crossmodal_jax.losses._many import _shuffles

KEEP = np.array([True, True, False, True, True, True, False])
close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def modalities(num, n=7, d=4):
    xs = np.random.default_rng(0).normal(size=(num, n, d))
    return list(xs / np.linalg.norm(xs, axis=-1, keepdims=True))


def test_two_modalities_are_the_loss_of_pairs(x64):
    xs = modalities(2)

    @jax.jit
    def three(xs):
        pairwise = losses.pairwise_loss(losses.clip_loss, xs, where=KEEP)
        joint = losses.symile_loss(xs, where=KEEP)
        return pairwise, joint, losses.clip_loss(*xs, where=KEEP)

    pairwise, joint, expected = three(xs)
    close(pairwise, expected)
    close(joint, expected)


def test_order_of_modalities_is_a_matter_of_names(x64):
    xs = modalities(3)
    present = np.random.default_rng(1).random((7, 3)) < 0.8
    joint = jax.jit(lambda xs, present: losses.symile_loss(xs, logit_scale=9.0, present=present))
    pairwise = jax.jit(
        lambda xs, present: losses.pairwise_loss(losses.clip_loss, xs, present=present)
    )
    for loss in (joint, pairwise):
        expected = loss(xs, present)
        assert np.count_nonzero(expected) > 2
        for order in itertools.permutations(range(3)):
            close(loss([xs[m] for m in order], present[:, order]), expected)


def test_shuffled_candidates_are_products_of_kept_rows(x64):
    xs, key = modalities(3), jax.random.key(0)
    orders = np.asarray(_shuffles(key, jnp.asarray(KEEP), 3))
    kept, num = np.flatnonzero(KEEP), KEEP.sum()
    for order in orders:
        assert sorted(order[:num]) == list(kept)
    assert any((a != b).any() for a, b in itertools.combinations(orders[:, :num], 2))
    run = jax.jit(lambda xs: losses.symile_loss(xs, logit_scale=9.0, key=key, where=KEEP))
    expected = np.zeros(7)
    for i in kept:
        for a in range(3):
            b, c = (m for m in range(3) if m != a)
            candidates = [xs[b][i] * xs[c][i]]
            for j, k in zip(orders[b][:num], orders[c][:num], strict=True):
                candidates.append(xs[b][j] * xs[c][k])
            z = 9 * np.array(candidates) @ xs[a][i]
            expected[i] += (logsumexp(z) - z[0]) / 3
    close(run(xs), expected)


def test_shuffled_loss_is_finite_where_little_is_kept():
    xs = [np.float32(x) for x in modalities(3)]

    @jax.jit
    def gradient(xs, keep):
        loss = lambda xs: losses.symile_loss(xs, logit_scale=1e3, key=jax.random.key(0), where=keep)
        return jax.value_and_grad(lambda xs: jnp.sum(loss(xs)))(xs)

    for keep in (KEEP, np.arange(7) == 2, np.zeros(7, bool)):
        value, slopes = gradient(xs, keep)
        assert np.isfinite(value)
        assert np.isfinite(slopes).all()
        assert not np.asarray(slopes)[:, ~keep].any()
        if not keep.any():
            assert value == 0


def test_bad_arguments_are_refused(no_jaxtyping):
    x = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"`loss` must return one value for each of the 3 rows"):
        losses.pairwise_loss(lambda x, y, where: jnp.sum(x), [x, x])
    with pytest.raises(ValueError, match=r"pairwise_loss: `xs` must be two or more matrices"):
        losses.pairwise_loss(losses.clip_loss, [x])
    with pytest.raises(ValueError, match=r"symile_loss: `xs` must share one shape \[n, d\]"):
        losses.symile_loss([x, jnp.ones((3, 4))])
