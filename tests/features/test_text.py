import os
import subprocess
import sys
import time
import unicodedata

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from crossmodal_jax.features import fit_tfidf, hashed_ngrams, tfidf

NAMES = [
    "LATIN SMALL LETTER A WITH GRAVE",
    "greek small letter alpha",
    "x",
    "",
    "  two   blanks ",
    "aaaa aaaa",
    "ĞØßé Ω",
]


@pytest.mark.parametrize(
    ("ngrams", "analyzer", "peer"),
    [
        ((2, 4), "char", {"analyzer": "char_wb"}),
        ((1, 1), "char", {"analyzer": "char_wb"}),
        ((3, 6), "char", {"analyzer": "char_wb"}),
        ((1, 1), "word", {"analyzer": "word", "token_pattern": r"\S+"}),
        ((1, 3), "word", {"analyzer": "word", "token_pattern": r"\S+"}),
    ],
)
def test_ngrams_are_those_of_scikit_learn(ngrams, analyzer, peer):
    vectorizer = CountVectorizer(ngram_range=ngrams, **peer)
    expected = vectorizer.fit_transform(NAMES).toarray()
    got = hashed_ngrams(NAMES, dim=1 << 20, ngrams=ngrams, analyzer=analyzer)
    # Wide enough that nothing collides: the same columns in another order.
    assert np.count_nonzero(got.any(0)) == expected.shape[1]
    assert sorted(map(tuple, got.T[got.any(0)])) == sorted(map(tuple, expected.T.astype(float)))


def test_collisions_add():
    wide = hashed_ngrams(NAMES, dim=4096)
    np.testing.assert_array_equal(hashed_ngrams(NAMES, dim=64), wide.reshape(-1, 64, 64).sum(1))


def test_columns_are_the_same_in_every_process():
    code = (
        "from crossmodal_jax.features import hashed_ngrams;"
        "print(*hashed_ngrams(['naïve Ω'], dim=97)[0].nonzero()[0])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    ]
    here = " ".join(map(str, hashed_ngrams(["naïve Ω"], dim=97)[0].nonzero()[0]))
    assert [run.strip() for run in runs] == [here, here]


def test_a_known_column():
    # From outside Python: `printf a | b2sum -l 64`, read as a little-endian number.
    digest = bytes.fromhex("40f89e395b66422f")
    (column,) = hashed_ngrams(["a"], dim=1000, ngrams=(1, 1), analyzer="word")[0].nonzero()[0]
    assert column == sum(byte * 256**i for i, byte in enumerate(digest)) % 1000


def test_thousands_of_names_are_fast():
    names = [unicodedata.name(chr(c), "") for c in range(0x20, 0x3000)]
    names = [name for name in names if name][:5800]
    start = time.perf_counter()
    counts = hashed_ngrams(names, dim=2048)
    assert counts.shape == (5800, 2048)
    assert time.perf_counter() - start < 10  # under 1 s on a quiet machine; loose for a busy one


def test_hashed_ngrams_errors(no_jaxtyping):
    with pytest.raises(TypeError, match="got one string"):
        hashed_ngrams("alpha", dim=8)
    with pytest.raises(TypeError, match=r"got float at rows \[1, 3\]"):
        hashed_ngrams(["a", float("nan"), "b", 2.0], dim=8)
    with pytest.raises(ValueError, match=r"got dim=8 and ngrams=\(3, 2\)"):
        hashed_ngrams(["a"], dim=8, ngrams=(3, 2))
    with pytest.raises(ValueError, match="did you mean 'word'"):
        hashed_ngrams(["a"], dim=8, analyzer="words")


@pytest.mark.parametrize("sublinear", [False, True])
@pytest.mark.parametrize("rows", [1, 40])
def test_tfidf_matches_scikit_learn(x64, rows, sublinear):
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, size=(rows, 12)).astype(np.float64)
    counts[:, 3] = 0  # never seen
    counts[0] = 0  # no terms
    peer = TfidfTransformer(sublinear_tf=sublinear).fit(counts)
    params = jax.jit(fit_tfidf)(counts)
    got = jax.jit(tfidf, static_argnames="sublinear")(params, counts, sublinear=sublinear)
    np.testing.assert_allclose(params.idf, peer.idf_, rtol=1e-12)
    np.testing.assert_allclose(got, peer.transform(counts).toarray(), rtol=1e-12, atol=1e-12)


def test_dropped_rows_equal_deleted_rows(strict):
    counts = np.random.default_rng(1).poisson(0.7, size=(9, 5)).astype(np.float32)
    where = np.arange(9) % 3 != 0
    hostile = np.where(where[:, None], counts, np.inf).astype(np.float32)
    np.testing.assert_array_equal(fit_tfidf(hostile, where).idf, fit_tfidf(counts[where]).idf)
    assert jnp.isfinite(fit_tfidf(counts, np.zeros(9, bool)).idf).all()


def test_tfidf_is_finite_and_differentiable_at_zero_counts(strict):
    counts = jnp.array([[0.0, 2.0], [0.0, 0.0]])
    params = fit_tfidf(counts)
    for sublinear in (False, True):
        gradient = jax.grad(lambda x, s=sublinear: jnp.sum(tfidf(params, x, sublinear=s)))(counts)
        assert jnp.isfinite(gradient).all()


def test_tfidf_errors(no_jaxtyping):
    with pytest.raises(ValueError, match=r"fit_tfidf: `counts` must be \[n, d\]"):
        fit_tfidf(jnp.zeros(3))
    with pytest.raises(ValueError, match=r"must be \[\*batch, 3\] as fitted"):
        tfidf(fit_tfidf(jnp.zeros((2, 3))), jnp.zeros((2, 4)))
