import jax
import numpy as np
import pytest

from crossmodal_jax.evaluation import evaluate_retrieval

KEY = jax.random.key(0)


def data(n=60, d=8):
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(n, d))
    queries = gallery + 1.2 * rng.normal(size=(n, d))
    return queries.astype(np.float32), (gallery * rng.uniform(1, 9, (n, 1))).astype(np.float32)


def ranks_by_sorting(queries, gallery, positives):
    queries, gallery = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (queries, gallery))
    order = np.argsort(-(queries.astype(float) @ gallery.T.astype(float)), axis=1)
    return np.take_along_axis(positives, order, 1).argmax(1) + 1


@pytest.mark.parametrize("several", [False, True])
def test_scores_match_sorting(several):
    queries, gallery = data()
    positives = np.eye(60, dtype=bool)
    if several:
        positives |= np.random.default_rng(1).random((60, 60)) < 0.05
    got = evaluate_retrieval(
        queries, gallery, key=KEY, positives=positives if several else None, num_resamples=200
    )
    ranks = ranks_by_sorting(queries, gallery, positives)
    for k in (1, 5, 10):
        np.testing.assert_allclose(got[f"recall_at_{k}"], (ranks <= k).mean(), rtol=1e-6)
        miss = [np.prod([(60 - p - j) / (60 - j) for j in range(k)]) for p in positives.sum(1)]
        np.testing.assert_allclose(got[f"chance_recall_at_{k}"], 1 - np.mean(miss), rtol=1e-6)
    assert got["median_rank"] == np.median(ranks)
    np.testing.assert_allclose(got["expected_rank"], ranks.mean(), rtol=1e-6)
    np.testing.assert_allclose(got["mean_reciprocal_rank"], (1 / ranks).mean(), rtol=1e-6)
    chance_rank = np.mean(61 / (positives.sum(1) + 1))
    np.testing.assert_allclose(got["chance_expected_rank"], chance_rank, rtol=1e-6)
    error = 1.96 * np.sqrt(np.var(ranks <= 1) / 60)
    assert abs(got["recall_at_1_low"] - (got["recall_at_1"] - error)) < 0.05
    assert abs(got["recall_at_1_high"] - (got["recall_at_1"] + error)) < 0.05
    assert all(type(value) is float for value in got.values())


def test_constant_embeddings_score_exactly_chance():
    constant = np.full((60, 8), 0.3, np.float32)
    for queries, gallery in [(constant, constant), (0 * constant, data()[1])]:
        got = evaluate_retrieval(queries, gallery, key=KEY, num_resamples=200)
        for name in ("recall_at_1", "recall_at_5", "recall_at_10", "expected_rank"):
            assert got[name] == got[f"chance_{name}"]
        np.testing.assert_allclose(got["recall_at_1"], 1 / 60, rtol=1e-6)


def test_similarity_is_a_choice():
    queries, gallery = np.eye(2, dtype=np.float32), np.float32([[1, 0], [9, 1]])
    cosine, dot = (
        evaluate_retrieval(queries, gallery, key=KEY, similarity=s, num_resamples=20)["recall_at_1"]
        for s in ("cosine", "dot")
    )
    assert (cosine, dot) == (1.0, 0.5)


def test_same_key_same_result():
    runs = [evaluate_retrieval(*data(), key=KEY, num_resamples=200) for _ in range(2)]
    assert runs[0] == runs[1]


def test_bad_input_is_named(no_jaxtyping):
    queries, gallery = data()
    with pytest.raises(ValueError, match=r"`queries` must be finite, .* \(first: \[3\]\)"):
        evaluate_retrieval(np.where(np.arange(60)[:, None] == 3, np.nan, queries), gallery, key=KEY)
    positives = np.eye(60, dtype=bool)
    positives[7] = False
    with pytest.raises(ValueError, match=r"got 1 of 60 queries without \(first: \[7\]\)"):
        evaluate_retrieval(queries, gallery, key=KEY, positives=positives)
    with pytest.raises(ValueError, match="did you mean 'cosine'"):
        evaluate_retrieval(queries, gallery, key=KEY, similarity="cosin")
    with pytest.raises(ValueError, match="of one width"):
        evaluate_retrieval(queries[:, 1:], gallery, key=KEY)
