"""Retrieval scores: against every order of equal scores, and against chance."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.kernels import RankCounts, rank_counts
from crossmodal_jax.metrics import expected_rank, recall_at_k, reciprocal_rank

KS = (1, 2, 3, 10)


@jax.jit
def all_scores(counts, where=None):
    recalls = [recall_at_k(counts, k, where=where) for k in KS]
    return expected_rank(counts, where=where), reciprocal_rank(counts, where=where), *recalls


def over_all_orders(above, tied, positives):
    """Scores averaged over every order of the tied group, counted one by one."""
    group = "n" * tied + "p" * positives
    ranks = [above + 1 + order.index("p") for order in itertools.permutations(group)]
    ranks = np.array(ranks, float)
    return ranks.mean(), (1 / ranks).mean(), *((ranks <= k).mean() for k in KS)


def test_expectations_equal_all_orders_of_ties():
    cases = list(itertools.product((0, 1, 2, 9, 30), (0, 1, 2, 4), (1, 2, 3)))
    counts = RankCounts(*(jnp.array(c, jnp.int32) for c in zip(*cases, strict=True)))
    expected = np.array([over_all_orders(*case) for case in cases]).T
    for got, want in zip(all_scores(counts), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=3e-7, atol=1e-7)  # a few roundings


def test_constant_embeddings_score_exactly_chance():
    n = 500
    counts = rank_counts(jnp.ones((n, 7)), jnp.ones((n, 7)))
    rank, reciprocal, *recalls = all_scores(counts)
    np.testing.assert_allclose(rank, (n + 1) / 2, rtol=1e-7)
    # Sums of 500 terms, each a product of up to 500 rounded factors.
    np.testing.assert_allclose(reciprocal, (1 / np.arange(1, n + 1)).mean(), rtol=3e-5)
    for k, recall in zip(KS, recalls, strict=True):
        np.testing.assert_allclose(recall, k / n, rtol=1e-6)


def test_several_positives_at_chance_are_hypergeometric(x64):
    # 20 candidates of one score, 3 of them right: P = 1 − C(17, k) / C(20, k).
    counts = RankCounts(*(jnp.array([c]) for c in (0, 17, 3)))
    for k in (1, 4, 17, 18, 25):
        got = jax.jit(recall_at_k, static_argnums=1)(counts, k)
        miss = np.prod([(17 - j) / (20 - j) for j in range(min(k, 18))])
        np.testing.assert_allclose(got, 1 - miss, rtol=1e-13)
    assert got.dtype == jnp.float64


def test_no_positive_scores_nothing():
    counts = rank_counts(
        jnp.eye(2), jnp.eye(2), positives=jnp.array([[True, False]] * 2).at[1].set(False)
    )
    rank, reciprocal, *recalls = all_scores(counts)
    np.testing.assert_array_equal(rank, [1, 3])
    np.testing.assert_array_equal(np.stack([reciprocal, *recalls]), [[1, 0]] * 5)


def test_dropped_queries_are_zero(strict):
    counts = RankCounts(*jnp.array([[0, 5, 1], [0, 2, 3], [1, 1, 2]], jnp.int32))
    where = np.array([True, False, True])
    for dropped, whole in zip(all_scores(counts, where), all_scores(counts), strict=True):
        np.testing.assert_array_equal(dropped, np.where(where, whole, 0))


def test_vmap_equals_loop():
    counts = RankCounts(*(jnp.arange(12, dtype=jnp.int32).reshape(3, 4) % m + 1 for m in (3, 5, 2)))
    mapped = jax.jit(jax.vmap(all_scores))(counts)
    for i in range(3):
        alone = all_scores(RankCounts(*(x[i] for x in counts)))
        np.testing.assert_allclose(np.stack(mapped)[:, i], np.stack(alone), rtol=1e-6)


def test_recall_of_every_length_compiles_once_per_length():
    recall = jax.jit(functools.partial(recall_at_k, k=5))
    for seed in range(2):
        counts = np.random.default_rng(seed).integers(1, 9, (3, 6)).astype(np.int32)
        recall(RankCounts(*jnp.asarray(counts)))
    assert recall._cache_size() == 1


def test_bad_arguments_are_named(no_jaxtyping):
    counts = rank_counts(jnp.eye(2), jnp.eye(2))
    with pytest.raises(ValueError, match="recall_at_k: `k` must be at least 1, got 0"):
        recall_at_k(counts, 0)
    with pytest.raises(ValueError, match=r"expected_rank: `where` must have shape \(2,\)"):
        expected_rank(counts, where=np.ones(3, bool))
