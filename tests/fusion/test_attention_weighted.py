"""Attention over modalities: its shares, and the sums that it becomes when they are fixed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_DIMS = (3, 4, 5)
_PATTERNS = jnp.asarray([[p & 1, p & 2, p & 4] for p in range(8)], bool)


def _case(dim=6):
    rng = np.random.default_rng(0)
    xs = [jnp.asarray(rng.normal(size=(8, d))) for d in _DIMS]
    weights = fusion.init_attention_weighted(jax.random.key(0), _DIMS, dim)
    return xs, jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), weights)


def test_fixed_logits_give_the_weighted_sum(x64):
    xs, weights = _case()
    blind = weights._replace(attention_kernel=jnp.zeros_like(weights.attention_kernel))
    same = fusion.WeightedSumWeights(weights.kernels, weights.attention_bias)
    got = fusion.attention_weighted(xs, blind, present=_PATTERNS)
    expected = fusion.weighted_sum(xs, same, present=_PATTERNS)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_shares_are_the_weights_of_the_sum(x64):
    # The shares as logits, log aᵢ, of a weighted sum of each sample.
    xs, weights = _case()
    shares = fusion.attention_weights(xs, weights, present=_PATTERNS)
    given = fusion.WeightedSumWeights(weights.kernels, jnp.log(shares))
    got = fusion.weighted_sum(xs, given)
    expected = fusion.attention_weighted(xs, weights, present=_PATTERNS)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_shares_sum_to_one_over_the_present():
    xs, weights = _case()
    xs = [jnp.where(_PATTERNS[:, m, None], x, jnp.nan) for m, x in enumerate(xs)]
    shares = fusion.attention_weights(xs, weights, present=_PATTERNS)
    assert not shares[~_PATTERNS].any()
    np.testing.assert_allclose(shares.sum(axis=1), _PATTERNS.any(axis=1), rtol=1e-6)


def test_shares_by_hand(x64):
    # Logits x + 2y + log 3 and 0; then x = 0, y = 0 give the shares 3/4 and 1/4.
    weights = fusion.AttentionWeightedWeights(
        kernels=(jnp.ones((1, 1)), jnp.ones((1, 1))),
        attention_kernel=jnp.asarray([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0]]),
        attention_bias=jnp.log(jnp.asarray([3.0, 1.0])),
    )
    xs = [jnp.asarray([[0.0], [2.0]]), jnp.asarray([[0.0], [-1.0]])]
    shares = fusion.attention_weights(xs, weights)
    np.testing.assert_allclose(shares, [[0.75, 0.25], [0.75, 0.25]], rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        fusion.attention_weighted(xs, weights)[1], [0.75 * 2 - 0.25], atol=1e-12
    )


def test_weights_for_other_widths_are_refused(no_jaxtyping):
    weights = fusion.init_attention_weighted(jax.random.key(0), (3, 5), 4)
    for function in (fusion.attention_weighted, fusion.attention_weights):
        with pytest.raises(ValueError, match=rf"^{function.__name__}: `weights` must .+ \[5, 3\];"):
            function([jnp.ones((2, 5)), jnp.ones((2, 3))], weights)
