"""Low-rank fusion: tensor fusion with a kernel of few terms."""

import functools
import itertools

import jax
import numpy as np
import pytest

from crossmodal_jax import fusion


def _weights(dims, dim, rank):
    init = functools.partial(fusion.init_low_rank, dims=dims, dim=dim, rank=rank)
    rng = np.random.default_rng(2)
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)


def _as_tensor_fusion(weights):
    """The kernel Σᵣ wᵣ ⊗ᵢ [oᵢ; Wᵢ], made one output at a time."""
    total = 0
    for r, share in enumerate(weights.mixture):
        factors = [
            np.concatenate([offset[None, r], kernel[:, r]])
            for offset, kernel in zip(weights.offsets, weights.kernels, strict=True)
        ]
        columns = [
            functools.reduce(np.kron, [factor[:, d] for factor in factors])
            for d in range(weights.bias.size)
        ]
        total = total + share * np.stack(columns, axis=1)
    return fusion.TensorFusionWeights(total, weights.bias)


@pytest.mark.parametrize(("dims", "rank"), [((4,), 2), ((3, 5), 1), ((3, 4, 2), 4), ((2,) * 4, 3)])
def test_is_tensor_fusion_with_a_cp_kernel_whatever_is_present(dims, rank, x64):
    present = np.array(list(itertools.product([False, True], repeat=len(dims))))
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(len(present), d)) for d in dims]
    xs = [np.where(present[:, m, None], x, np.nan) for m, x in enumerate(xs)]
    weights = _weights(dims, 3, rank)
    got = jax.jit(fusion.low_rank)(xs, weights, present=present)
    expected = jax.jit(fusion.tensor_fusion)(xs, _as_tensor_fusion(weights), present=present)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_all_factors_are_weights():
    # Rank factors kept out of the parameters would never learn: here 2 · 3 · (4 + 5 + 2) + 2 + 3.
    weights = fusion.init_low_rank(jax.random.key(0), (4, 5), 3, rank=2)
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == 71


@pytest.mark.parametrize(("num", "rank"), [(1, 1), (2, 16), (5, 4)])
def test_initial_mean_square_with_absent_modalities(num, rank):
    # (M / (M + 2))^k with k absent, as the docstring of `init_low_rank` says.
    weights = fusion.init_low_rank(jax.random.key(0), (64,) * num, 2048, rank=rank)
    xs = [jax.random.normal(jax.random.key(m), (64, 64)) for m in range(num)]
    apply = jax.jit(fusion.low_rank)
    for absent in range(num + 1):
        z = np.asarray(apply(xs, weights, present=np.arange(num) >= absent))
        assert np.mean(z**2) == pytest.approx((num / (num + 2)) ** absent, rel=0.15)


def test_no_rank_is_refused():
    with pytest.raises(
        ValueError, match=r"^init_low_rank: `rank` must be at least 1, got 0; .+\.$"
    ):
        fusion.init_low_rank(jax.random.key(0), (3, 4), 2, rank=0)


def test_weights_for_other_widths_are_refused(no_jaxtyping):
    weights = fusion.init_low_rank(jax.random.key(0), (3, 4), 2)
    xs = [np.ones((2, 3), np.float32), np.ones((2, 5), np.float32)]
    message = r"^low_rank: `weights` must have one kernel .* width \[3, 5\]; .+\.$"
    with pytest.raises(ValueError, match=message):
        fusion.low_rank(xs, weights)
