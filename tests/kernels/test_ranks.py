"""Rank counts: every implementation against a count in NumPy float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.kernels import rank_counts

IMPLEMENTATIONS = ["xla", "streamed"]


@functools.partial(jax.jit, static_argnames="implementation")
def counts_of(queries, gallery, positives=None, where=None, implementation=None):
    return rank_counts(
        queries, gallery, positives=positives, where=where, implementation=implementation
    )


def expected_counts(queries, gallery, positives, where):
    """Row by row, in float64; NaN is worse than any number."""
    scores = queries.astype(np.float64) @ gallery.astype(np.float64).T
    rows = []
    for score, positive in zip(scores, positives, strict=True):
        right, wrong = score[positive & where], score[~positive & where]
        numbers = right[~np.isnan(right)]
        if numbers.size == 0:
            rows.append((wrong.size, 0, right.size))
        else:
            best = numbers.max()
            rows.append(((wrong > best).sum(), (wrong == best).sum(), (right == best).sum()))
    return np.array(rows).reshape(-1, 3).T


def small_integers(shape, seed=0):
    # Products of small integers are exact in every dtype, and they tie often.
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(("q", "g"), [(1, 1), (1, 7), (7, 7), (257, 300), (600, 601)])
def test_counts_match_numpy(implementation, q, g, slabs):
    slabs(2**16)
    queries, gallery = small_integers((q, 3)), small_integers((g, 3), seed=1)
    where = np.random.default_rng(2).random(g) < 0.7
    positives = np.random.default_rng(3).random((q, g)) < 3 / g
    got = counts_of(queries, gallery, positives, where, implementation=implementation)
    np.testing.assert_array_equal(got, expected_counts(queries, gallery, positives, where))
    diagonal, everything = np.eye(q, g, dtype=bool), np.ones(g, bool)
    got = counts_of(queries, gallery, implementation=implementation)
    np.testing.assert_array_equal(got, expected_counts(queries, gallery, diagonal, everything))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_bfloat16_scores_accumulate_in_float32(implementation):
    # In bfloat16 256 + 1 = 256: the answer would tie with the negative that it beats.
    queries = jnp.ones((600, 257), jnp.bfloat16)
    gallery = jnp.ones((2, 257), jnp.bfloat16).at[1, 0].set(0)
    positives = np.tile([True, False], (600, 1))
    got = counts_of(queries, gallery, positives, implementation=implementation)
    np.testing.assert_array_equal(got, np.stack([np.zeros(600), np.zeros(600), np.ones(600)]))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(("q", "g", "d"), [(1, 27, 175), (1, 300, 77), (129, 257, 63)])
def test_equal_rows_tie_exactly(implementation, q, g, d):
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(q, d)).astype(np.float32)
    gallery = np.tile(rng.normal(size=(1, d)).astype(np.float32), (g, 1))
    got = counts_of(queries, gallery, implementation=implementation)
    np.testing.assert_array_equal(got, np.array([[0], [g - 1], [1]]).repeat(q, 1))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_nan_never_scores_well(implementation):
    queries, gallery = small_integers((520, 3)), small_integers((520, 3), seed=1)
    queries[0], gallery[1], gallery[519, 0] = np.nan, np.nan, np.nan
    everything = np.ones(520, bool)
    got = counts_of(queries, gallery, implementation=implementation)
    expected = expected_counts(queries, gallery, np.eye(520, dtype=bool), everything)
    np.testing.assert_array_equal(got, expected)
    assert got.above[0] == got.above[1] == got.above[519] == 519
    # Of two right answers the NaN one is ignored, not preferred.
    two = np.eye(520, dtype=bool) | (np.arange(520) == 1)
    got = counts_of(queries, gallery, two, implementation=implementation)
    np.testing.assert_array_equal(got, expected_counts(queries, gallery, two, everything))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_dropped_rows_hold_anything(implementation, strict):
    queries, gallery = small_integers((600, 3)), small_integers((700, 3), seed=1)
    where = np.arange(700) % 3 != 0
    poisoned = np.where(where[:, None], gallery, np.float32(np.nan))
    got = counts_of(queries, poisoned, None, where, implementation=implementation)
    again = counts_of(queries, gallery, None, where, implementation=implementation)
    np.testing.assert_array_equal(got, again)
    assert got.positives[0] == 0
    assert got.above[0] == where.sum()
    nothing = counts_of(queries, gallery, None, np.zeros(700, bool), implementation=implementation)
    np.testing.assert_array_equal(nothing, np.zeros((3, 600)))


def test_order_of_queries_and_gallery_does_not_matter():
    rng = np.random.default_rng(4)
    queries, gallery = small_integers((601, 3)), small_integers((601, 3), seed=1)
    order, other = rng.permutation(601), rng.permutation(601)
    positives = np.eye(601, dtype=bool)[order][:, other]
    moved = counts_of(queries[order], gallery[other], positives)
    for a, b in zip(moved, counts_of(queries, gallery), strict=True):
        np.testing.assert_array_equal(a, b[order])


def test_vmap_and_one_compilation():
    queries, gallery = small_integers((2, 40, 3)), small_integers((2, 40, 3), seed=1)
    mapped = jax.jit(jax.vmap(rank_counts))
    got = mapped(queries, gallery)
    mapped(queries + 1, gallery)
    assert mapped._cache_size() == 1
    for i in range(2):
        alone = counts_of(queries[i], gallery[i])
        np.testing.assert_array_equal([x[i] for x in got], alone)


def test_streamed_memory_does_not_grow_with_queries():
    def temp_bytes(q, implementation):
        arrays = jnp.zeros((q, 8)), jnp.zeros((4096, 8))
        compiled = counts_of.lower(*arrays, implementation=implementation).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    tile = 4 * 2**20
    streamed = temp_bytes(4096, "streamed")
    assert streamed < 6 * tile  # the scores, and what the compiler keeps beside them
    assert temp_bytes(1024, "streamed") > 0.9 * streamed
    assert temp_bytes(4096, "xla") > 8 * streamed


def test_none_streams():
    lowered = counts_of.lower(jnp.zeros((2048, 2)), jnp.zeros((2048, 2))).as_text()
    assert "while" in lowered
    assert "2048x2048" not in lowered


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"gallery": np.zeros((5, 3))}, r"queries.shape=\(4, 2\) and gallery.shape=\(5, 3\)"),
        ({"gallery": np.zeros((3, 2))}, "needs at least 4 rows, got 3"),
        ({"positives": np.ones((4, 4), bool)}, r"must be Bool \[q, g\] = \(4, 5\)"),
        ({"positives": np.ones((4, 5))}, r"got float32 \(4, 5\)"),
        ({"where": np.ones(4, bool)}, "must have shape"),
        ({"implementation": "streamd"}, "did you mean 'streamed'"),
    ],
)
def test_bad_arguments_are_named(no_jaxtyping, kwargs, words):
    arguments = {"queries": np.zeros((4, 2)), "gallery": np.zeros((5, 2)), **kwargs}
    with pytest.raises(ValueError, match=words):
        rank_counts(**arguments)
