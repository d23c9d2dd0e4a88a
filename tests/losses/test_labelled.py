"""The multi-similarity and circle losses: closed forms of gradients, and what has no pairs."""

import jax
import jax.numpy as jnp
import losses_pairs as oracles
import numpy as np
import pytest

from crossmodal_jax import losses

LOSSES = [losses.multi_similarity_loss, losses.circle_loss]
LABELS = np.array([0, 0, 1, 1, 0], np.int32)


def rows(n=5, d=3):
    x, y = np.random.default_rng(0).normal(size=(2, n, d))
    return tuple(z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))


def test_slope_of_the_circle_loss_takes_its_weights_as_constants(x64):
    # ∂L/∂sₙ = Z γ αₙ softmax(γ αₙ (sₙ − m)) and ∂L/∂sₚ = −Z γ αₚ softmax(−γ αₚ (sₚ − 1 + m)), with
    # Z = 1 − exp(−L).
    (x, y), gamma, m = rows(), 5.0, 0.3
    loss = lambda x: jnp.sum(losses.circle_loss(x, y, labels=LABELS, scale=gamma, margin=m))
    slopes = np.zeros((5, 5))
    values = oracles.circle_loss(x, LABELS, y, gamma, m)
    for i, z in enumerate(1 - np.exp(-values)):
        s, same = x[i] @ y.T, np.equal(LABELS, LABELS[i])
        of_n, of_p = np.maximum(s + m, 0), np.maximum(1 + m - s, 0)
        n = np.where(same, 0, np.exp(gamma * of_n * (s - m)))
        p = np.where(same, np.exp(-gamma * of_p * (s - 1 + m)), 0)
        slopes[i] = z * gamma * (of_n * n / n.sum() - of_p * p / p.sum())
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(x), slopes @ y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_two_sides_and_their_pairs(loss, x64):
    x, y = rows()
    oracle = getattr(oracles, loss.__name__)
    both = jax.jit(lambda x, y: (loss(x, y, labels=LABELS), loss(x, y)))(x, y)
    for got, labels in zip(both, (LABELS, None), strict=True):
        np.testing.assert_allclose(got, oracle(x, labels, y), rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("labels", [np.arange(5), np.zeros(5, int)], ids=["alone", "alike"])
def test_no_positives_or_no_negatives(loss, labels):
    x = np.float32(rows()[0])
    total = lambda x: (jnp.sum(loss(x, labels=labels)), loss(x, labels=labels))
    (_, values), slopes = jax.jit(jax.value_and_grad(total, has_aux=True))(x)
    expected = getattr(oracles, loss.__name__)(np.float64(x), labels)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    if loss is losses.circle_loss:
        assert not expected.any()
        assert not slopes.any()
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_bad_labels_are_refused(loss, no_jaxtyping):
    x = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=rf"^{loss.__name__}: without `y`, `labels` must be given"):
        loss(x)
    with pytest.raises(ValueError, match=r"`labels` must be one whole number .*, got float32 \(3,"):
        loss(x, labels=jnp.ones(3))
