"""The CLIP loss: analytic values, a NumPy float64 sweep, several positives, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from crossmodal_jax import losses

_SCALES = np.array([0.0, 0.05, 1.0, 30.0, 100.0], np.float32)  # small ones expose bad padding


def _unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _oracle(x, y, scale, keep):
    """The definition on the kept pairs alone, in float64; 0 elsewhere."""
    z = scale * x[keep].astype(np.float64) @ y[keep].astype(np.float64).T
    loss = np.zeros(len(x))
    loss[keep] = (logsumexp(z, axis=1) + logsumexp(z, axis=0)) / 2 - np.diag(z)
    return loss


def _total(x, y, scale, keep):
    loss = losses.clip_loss(x, y, logit_scale=scale, where=keep)
    return loss.sum(), loss


_GRADIENT = jax.value_and_grad(_total, argnums=(0, 1, 2), has_aux=True)
# Over masks, then over scales: one compilation for each n and dtype.
_SWEEP = jax.jit(
    jax.vmap(jax.vmap(_GRADIENT, (None, None, None, 0)), (None, None, 0, None)),
)


def _masks(n):
    rng = np.random.default_rng(n)
    rows = np.arange(n)
    return np.stack([rows >= 0, rows != 0, rows == n - 1, rng.random(n) < 0.5, rows < 0])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("n", [1, 2, 7, 128, 129])  # 129: not a multiple of a block
def test_matches_numpy_for_all_scales_and_masks(n, dtype):
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(_unit(rng.normal(size=(n, 5))), dtype) for _ in range(2))
    masks = _masks(n)
    (_, got), gradients = _SWEEP(x, y, _SCALES, masks)
    assert got.dtype == jnp.float32
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    for s, scale in enumerate(_SCALES):
        for m, keep in enumerate(masks):
            # Logits up to 100 in float32; the inputs are the rounded ones, so bfloat16 loses none.
            expected = _oracle(x, y, float(scale), keep)
            np.testing.assert_allclose(got[s, m], expected, rtol=2e-5, atol=2e-5)
    for gradient in gradients:
        assert np.isfinite(np.asarray(gradient, np.float32)).all()


@pytest.mark.parametrize("n", [7, 129])
def test_gradient_matches_the_closed_form(n, x64):
    # ∂/∂z = ½ (softmax over the row + softmax over the column) − identity.
    rng = np.random.default_rng(0)
    x, y = _unit(rng.normal(size=(n, 5))), _unit(rng.normal(size=(n, 5)))
    keep = _masks(n)[3]
    z = np.where(keep[:, None] & keep, 30 * x @ y.T, -np.inf)
    with np.errstate(invalid="ignore"):
        rows = np.exp(z - logsumexp(z, axis=1, keepdims=True))
        columns = np.exp(z - logsumexp(z, axis=0, keepdims=True))
    slope = np.nan_to_num((rows + columns) / 2) - np.diag(keep)
    total = lambda x, y, s: losses.clip_loss(x, y, logit_scale=s, where=keep).sum()
    got = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(x, y, 30.0)
    expected = 30 * slope @ y, 30 * slope.T @ x, (slope * (x @ y.T)).sum()
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("scale", "both", "forward", "backward"),
    [
        (1 / 0.07, 2.104677, 2.146979, 2.062375),
        (10.0, 1.553037, 1.579444, 1.526630),
        (100.0, 13.898375, 14.378487, 13.418263),
    ],
)
def test_analytic_values(scale, both, forward, backward, x64):
    # Rows sin(1 + a·i + 0.7·j) + 0.1 cos(i·j) for a = 0.9 and 1.1, normalised.
    i, j = np.arange(6)[:, None], np.arange(4)
    a, b = (_unit(np.sin(1 + f * i + 0.7 * j) + 0.1 * np.cos(i * j)) for f in (0.9, 1.1))
    got = losses.clip_loss(a, b, logit_scale=scale)
    np.testing.assert_allclose(got.mean(), both, atol=6e-7)  # the digits that are given
    z = scale * a @ b.T
    np.testing.assert_allclose((logsumexp(z, axis=1) - np.diag(z)).mean(), forward, atol=6e-7)
    np.testing.assert_allclose((logsumexp(z, axis=0) - np.diag(z)).mean(), backward, atol=6e-7)


def test_scale_zero_gives_log_n():
    got = losses.clip_loss(jnp.eye(5), jnp.eye(5), logit_scale=0.0)
    np.testing.assert_allclose(got, np.log(5), rtol=1e-6)


def test_several_positives_match_numpy():
    rng = np.random.default_rng(0)
    x, y = _unit(rng.normal(size=(9, 4))), _unit(rng.normal(size=(9, 4)))
    positives = rng.random((9, 9)) < 0.3
    positives[4] = False  # a row without a positive adds nothing
    keep = rng.random(9) < 0.8
    z = 10 * x[keep] @ y[keep].T
    expected = np.zeros(9)
    for logits, matches in ((z, positives[keep][:, keep]), (z.T, positives[keep][:, keep].T)):
        for row, i in enumerate(np.flatnonzero(keep)):
            if matches[row].any():
                expected[i] += (logsumexp(logits[row]) - logits[row][matches[row]].mean()) / 2
    got = losses.clip_loss(
        x.astype(np.float32),
        y.astype(np.float32),
        logit_scale=10.0,
        where=keep,
        positives=positives,
    )
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)


def test_diagonal_positives_are_the_default(x64):
    x, y = np.random.default_rng(0).normal(size=(2, 6, 3))
    got = losses.clip_loss(x, y, positives=np.eye(6, dtype=bool))
    np.testing.assert_allclose(got, losses.clip_loss(x, y), rtol=0, atol=1e-14)


def test_no_positive_at_all_gives_zero_and_a_finite_gradient():
    x = jnp.eye(3)
    total = lambda x: losses.clip_loss(x, x, positives=jnp.zeros((3, 3), bool)).sum()
    value, gradient = jax.value_and_grad(total)(x)
    assert value == 0
    assert not gradient.any()


def test_duplicate_rows_share_the_probability():
    x = np.ones((4, 3), np.float32)
    np.testing.assert_allclose(losses.clip_loss(x, x, logit_scale=100.0), np.log(4), rtol=1e-4)


def test_bad_arguments_are_refused(no_jaxtyping):
    x = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"clip_loss: .* one shape \[n, d\], got .*y.shape=\(3, 4"):
        losses.clip_loss(x, jnp.ones((3, 4)))
    with pytest.raises(ValueError, match=r"clip_loss: `positives` must be .* \(3, 3\), got bool"):
        losses.clip_loss(x, x, positives=jnp.ones((3, 2), bool))
