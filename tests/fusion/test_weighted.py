"""Laws of the weighted sum that its formula alone does not show."""

import jax.numpy as jnp
import numpy as np

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
