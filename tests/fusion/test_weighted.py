"""Laws of the weighted sum that its formula alone does not show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion


def test_one_hot_weights_give_that_modality(x64):
    xs = [jnp.asarray(np.random.default_rng(m).normal(size=(5, 4))) for m in range(3)]
    for m in range(3):
        logits = jnp.where(jnp.arange(3) == m, 0.0, -1e3)
        weights = fusion.WeightedSumWeights((jnp.eye(4),) * 3, logits)
        np.testing.assert_allclose(fusion.weighted_sum(xs, weights), xs[m], rtol=0, atol=1e-12)


def test_equal_weights_and_identity_kernels_give_the_mean(x64):
    xs = [jnp.asarray(np.random.default_rng(m).normal(size=(8, 4))) for m in range(3)]
    present = jnp.asarray([[p & 1, p & 2, p & 4] for p in range(8)], bool)
    weights = fusion.WeightedSumWeights((jnp.eye(4),) * 3, jnp.zeros(3))
    got = fusion.weighted_sum(xs, weights, present=present)
    np.testing.assert_allclose(got, fusion.mean(xs, present=present), rtol=0, atol=1e-12)


_PATTERNS = jnp.asarray([[p & 1, p & 2, p & 4] for p in range(8)], bool)


def _case(logits):
    rng = np.random.default_rng(2)
    xs = [jnp.asarray(rng.normal(size=(8, d)), jnp.float32) for d in (2, 3, 4)]
    kernels = tuple(jnp.asarray(rng.normal(size=(d, 5)), jnp.float32) for d in (2, 3, 4))
    return xs, fusion.WeightedSumWeights(kernels, logits)


def test_fixed_weights_of_zero_leave_a_modality_out(strict):
    # 3 : 0 : 1, whose middle modality counts as absent: by hand, and in value and gradient.
    xs, weights = _case(jnp.asarray([np.log(3.0), -np.inf, 0.0], jnp.float32))
    got = fusion.weighted_sum(xs, weights)
    f = [x @ kernel for x, kernel in zip(xs, weights.kernels, strict=True)]
    np.testing.assert_allclose(got, 0.75 * f[0] + 0.25 * f[2], rtol=2e-6, atol=2e-6)

    def total(xs, weights, present):
        z = fusion.weighted_sum(xs, weights, present=present)
        return jnp.sum(z * jnp.arange(z.size, dtype=z.dtype).reshape(z.shape))

    present = _PATTERNS & jnp.asarray([True, False, True])
    plain = weights._replace(logits=jnp.nan_to_num(weights.logits, neginf=0.0))
    expected = jax.value_and_grad(total, (0, 1))(xs, plain, present)
    got = jax.value_and_grad(total, (0, 1))(xs, weights, _PATTERNS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, expected)


def test_one_hot_weights_may_be_exact(strict):
    for m in range(3):
        xs, weights = _case(jnp.where(jnp.arange(3) == m, 0.0, -jnp.inf).astype(jnp.float32))
        got = fusion.weighted_sum(xs, weights)
        np.testing.assert_array_equal(got, jnp.matmul(xs[m], weights.kernels[m]))


@pytest.mark.parametrize("logits", [[-np.inf] * 3, [-np.inf, 0.0, -np.inf]])
def test_nothing_of_positive_weight_gives_zeros(logits, strict):
    xs, weights = _case(jnp.asarray(logits, jnp.float32))
    present = jnp.asarray([True, False, True])
    total = lambda xs, weights: jnp.sum(fusion.weighted_sum(xs, weights, present=present))
    assert not fusion.weighted_sum(xs, weights, present=present).any()
    assert not any(g.any() for g in jax.tree.leaves(jax.grad(total, (0, 1))(xs, weights)))


def test_weights_of_each_sample_are_a_loop_over_samples():
    xs, weights = _case(jnp.asarray(np.random.default_rng(3).normal(size=(8, 3)), jnp.float32))
    got = fusion.weighted_sum(xs, weights, present=_PATTERNS)
    for i in range(8):
        own = weights._replace(logits=weights.logits[i])
        alone = fusion.weighted_sum([x[i] for x in xs], own, present=_PATTERNS[i])
        np.testing.assert_allclose(got[i], alone, rtol=1e-5, atol=1e-6)


def test_weights_of_each_group_broadcast_over_its_samples():
    xs, weights = _case(jnp.asarray(np.random.default_rng(4).normal(size=(2, 1, 3)), jnp.float32))
    grouped = [x.reshape(2, 4, -1) for x in xs]
    got = fusion.weighted_sum(grouped, weights)
    for g in range(2):
        own = weights._replace(logits=weights.logits[g, 0])
        alone = fusion.weighted_sum([x[g] for x in grouped], own)
        np.testing.assert_allclose(got[g], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2,), (3, 3), (2, 8, 3)])
def test_logits_of_another_shape_are_refused(shape, no_jaxtyping):
    xs, weights = _case(jnp.zeros(shape, jnp.float32))
    message = r"^weighted_sum: `weights.logits` must broadcast to .+ = \(8, 3\), got .+; .+\.$"
    with pytest.raises(ValueError, match=message):
        fusion.weighted_sum(xs, weights)
