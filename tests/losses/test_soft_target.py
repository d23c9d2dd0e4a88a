"""The soft-target loss: the CLIP loss and distillation at its ends, and targets that are given."""

import functools

import jax
import jax.numpy as jnp
import losses_pairs as oracles
import numpy as np
import pytest

from crossmodal_jax import losses

KEEP = np.array([True, True, False, True, True, True, False, True, True])


def sides(num=2, n=9, d=4):
    z = np.random.default_rng(0).normal(size=(num, n, d))
    return tuple(z / np.linalg.norm(z, axis=-1, keepdims=True))


def test_hard_targets_are_the_clip_loss(x64):
    x, y, u, v = sides(4)

    @jax.jit
    def all_three(*args):
        def gradient(loss, **options):
            def total(x, y, scale):
                values = loss(x, y, logit_scale=scale, where=KEEP, **options)
                return jnp.sum(values), values

            return jax.value_and_grad(total, (0, 1, 2), has_aux=True)(*args)

        return (
            gradient(losses.clip_loss),
            gradient(losses.soft_target_loss, teacher=(u, v), weight=0.0),
            gradient(losses.soft_target_loss, targets=jnp.eye(9)),
        )

    for scale in (1.0, 100.0):
        expected, *found = all_three(x, y, scale)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12 * scale)
        for got in found:
            jax.tree.map(close, got, expected)


def test_a_teacher_that_is_the_student_moves_nothing(x64):
    x, y = sides()

    def loss(x, y, u, v, scale):
        options = {"teacher": (u, v), "teacher_scale": scale, "logit_scale": 7.0, "where": KEEP}
        return jnp.sum(losses.soft_target_loss(x, y, **options))

    slopes = jax.jit(jax.grad(loss, (0, 1, 2, 3, 4)))(x, y, x, y, 7.0)
    for slope in slopes:
        np.testing.assert_allclose(slope, np.zeros_like(slope), atol=1e-12)
    assert not any(np.any(slope) for slope in slopes[2:])


def test_given_targets_are_shares_of_what_is_kept(x64):
    x, y = sides()
    rng = np.random.default_rng(1)
    targets = rng.random((9, 9)) * (rng.random((9, 9)) < 0.4)
    targets[0] = targets[:, 1] = 0  # neither this row nor that column has a target
    kept = targets[KEEP][:, KEEP]
    q = [kept / np.where(s > 0, s, 1) for s in (kept.sum(1, keepdims=True), kept.sum(0))]
    expected = np.zeros(9)
    expected[KEEP] = oracles.soft_target_loss(x[KEEP], y[KEEP], *q, 3.0)
    targets[~KEEP] = targets[:, ~KEEP] = np.nan

    @jax.jit
    def gradient(x, targets):
        def total(x, targets):
            options = {"targets": targets, "logit_scale": 3.0, "where": KEEP}
            values = losses.soft_target_loss(x, y, **options)
            return jnp.sum(values), values

        return jax.value_and_grad(total, (0, 1), has_aux=True)(x, targets)

    (_, values), slopes = gradient(x, targets)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
    assert np.isfinite(slopes[0]).all()
    assert not slopes[1].any()


def test_logits_far_below_those_of_dropped_rows():
    # All kept rows are opposite; the zeros in the place of a dropped one are far above them.
    x, y, keep = np.ones((3, 2), np.float32), -np.ones((3, 2), np.float32), np.arange(3) > 0
    total = lambda x: jnp.sum(
        losses.soft_target_loss(x, y, targets=jnp.eye(3), logit_scale=1e3, where=keep)
    )
    value, slope = jax.jit(jax.value_and_grad(total))(x)
    np.testing.assert_allclose(value, 2 * np.log(2), rtol=1e-3)
    assert np.isfinite(slope).all()


def test_bad_arguments_are_refused(no_jaxtyping):
    x = jnp.ones((3, 2))
    refused = lambda match: pytest.raises(ValueError, match=rf"^soft_target_loss: {match}")
    with refused(r"exactly one of .* must be given, got neither; pass"):
        losses.soft_target_loss(x, x)
    with refused(r"exactly one of .* must be given, got both; pass"):
        losses.soft_target_loss(x, x, targets=jnp.eye(3), teacher=(x, x))
    with refused(r"`targets` must be .* \(3, 3\), got float32 \(3, 2\)"):
        losses.soft_target_loss(x, x, targets=x)
    with refused(r"`teacher` must be .* n = 3, got \(3, 2\) and \(4, 2\)"):
        losses.soft_target_loss(x, x, teacher=(x, jnp.ones((4, 2))))
