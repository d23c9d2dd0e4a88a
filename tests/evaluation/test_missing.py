import itertools

import jax
import numpy as np
import pytest

from crossmodal_jax.evaluation import evaluate_retrieval, missing_modality_curve

KEY = jax.random.key(0)
NUM, WIDTH, MODALITIES = 40, 5, 3


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(NUM, WIDTH)).astype(np.float32)
    noise = rng.normal(size=(MODALITIES, NUM, WIDTH)) * np.array([0.5, 1.0, 2.0])[:, None, None]
    views = (gallery + noise).astype(np.float32)

    def encode(present):
        with np.errstate(invalid="ignore"):
            summed = np.einsum("nm,mnd->nd", present.astype(np.float32), views)
            return summed / present.sum(1, keepdims=True).astype(np.float32)

    return encode, gallery


def recall_at_1(queries, gallery, rows):
    cosine = queries @ gallery.T / np.linalg.norm(gallery, axis=1)
    return (cosine.argmax(1) == np.arange(NUM))[rows]


def test_whole_samples_average_over_all_patterns(model):
    encode, gallery = model
    present = np.ones((NUM, MODALITIES), bool)
    curve = missing_modality_curve(encode, present, gallery, key=KEY, num_resamples=200)
    assert list(curve) == [0, 1, 2]
    for k, scores in curve.items():
        patterns = [
            np.isin(np.arange(MODALITIES), dropped, invert=True)
            for dropped in itertools.combinations(range(MODALITIES), k)
        ]
        recalls = [recall_at_1(encode(present & p), gallery, slice(None)) for p in patterns]
        np.testing.assert_allclose(scores["recall_at_1"], np.mean(recalls), rtol=1e-6)
        assert scores["recall_at_1_low"] < scores["recall_at_1"] < scores["recall_at_1_high"]
        assert scores["num_queries"] == NUM
    whole = evaluate_retrieval(encode(present), gallery, key=KEY, num_resamples=200)
    assert {name: whole[name] for name in curve[0] if name in whole} == {
        name: value for name, value in curve[0].items() if name != "num_queries"
    }


def test_samples_that_would_have_nothing_left_are_skipped(model):
    encode, gallery = model
    present = np.ones((NUM, MODALITIES), bool)
    present[::2, 2] = False  # two modalities: one may go
    present[::4, 1] = False  # one modality: none may go
    curve = missing_modality_curve(encode, present, gallery, key=KEY, num_resamples=200)
    for k, scores in curve.items():
        means = []
        for i in range(NUM):
            has = np.flatnonzero(present[i])
            if len(has) <= k:
                continue
            hits = []
            for dropped in itertools.combinations(has, k):
                row = present & ~np.isin(np.arange(MODALITIES), dropped)
                hits.append(recall_at_1(encode(row), gallery, i))
            means.append(np.mean(hits))
        np.testing.assert_allclose(scores["recall_at_1"], np.mean(means), rtol=1e-6)
        assert scores["num_queries"] == len(means)
    assert [s["num_queries"] for s in curve.values()] == [40, 30, 20]


def test_nothing_left_anywhere_ends_the_curve(model):
    encode, gallery = model
    present = np.zeros((NUM, MODALITIES), bool)
    present[:, 0] = True
    curve = missing_modality_curve(encode, present, gallery, key=KEY, num_resamples=20)
    assert list(curve) == [0]


def test_max_dropped_saves_patterns(model):
    encode, gallery = model
    calls = []

    def counted(present):
        calls.append(present)
        return encode(present)

    present = np.ones((NUM, MODALITIES), bool)
    curve = missing_modality_curve(
        counted, present, gallery, key=KEY, max_dropped=1, num_resamples=20
    )
    assert list(curve) == [0, 1]
    assert len(calls) == 1 + MODALITIES


def test_bad_arguments_are_named(model, no_jaxtyping):
    encode, gallery = model
    present = np.ones((NUM, MODALITIES), bool)
    with pytest.raises(ValueError, match="`max_dropped` must be between 0 and m − 1 = 2, got 3"):
        missing_modality_curve(encode, present, gallery, key=KEY, max_dropped=3)
    with pytest.raises(ValueError, match=r"`present` must be Bool \[n, m\], .* got float64"):
        missing_modality_curve(encode, present.astype(float), gallery, key=KEY)
    with pytest.raises(ValueError, match="`encoded` must be finite"):
        missing_modality_curve(lambda p: encode(p) * np.nan, present, gallery, key=KEY)
