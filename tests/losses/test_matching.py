"""Hard negatives: their frequencies, who is never drawn, and memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from crossmodal_jax import losses
from crossmodal_jax.losses import _matching

NUM = 6
X, Y = np.random.default_rng(0).normal(size=(2, NUM, 3)).astype(np.float32)
WHERE = np.array([1, 1, 1, 0, 1, 1], bool)
LABELS = np.array([7, 2, 7, 7, 2, 5])


@pytest.fixture(scope="module")
def counts():
    """How often row i drew row j in 5,000 draws: all rows, kept rows, kept rows with labels."""

    @jax.jit
    def run(keys):
        def draw(key):
            options = [{}, {"where": WHERE}, {"where": WHERE, "labels": LABELS}]
            return [losses.sample_negatives(key, X, Y, logit_scale=0.7, **o) for o in options]

        return [jax.nn.one_hot(i, NUM).sum(axis=0) for i in jax.vmap(draw)(keys)]

    return np.asarray(run(jax.random.split(jax.random.key(0), 5_000)))


def _probabilities(allowed):
    weights = np.exp(0.7 * X.astype(np.float64) @ Y.T) * allowed
    return weights / weights.sum(axis=1, keepdims=True)


OTHERS = ~np.eye(NUM, dtype=bool)
KEPT = OTHERS & WHERE
UNLIKE = KEPT & (LABELS[:, None] != LABELS)


@pytest.mark.parametrize(("case", "allowed"), list(enumerate([OTHERS, KEPT, UNLIKE])))
def test_frequencies_are_softmax_probabilities(counts, case, allowed):
    rows = np.flatnonzero(WHERE) if case else np.arange(NUM)
    expected = _probabilities(allowed)
    for i in rows:
        assert not counts[case][i][~allowed[i]].any()
        found, chances = counts[case][i][allowed[i]], expected[i][allowed[i]]
        # Of 16 rows in all one at 1e-4 would be chance in 1 of 600 seeds.
        assert stats.chisquare(found, 5_000 * chances).pvalue > 1e-4
    for i in np.setdiff1d(np.arange(NUM), rows):
        assert counts[case][i, i] == 5_000


def test_rows_are_drawn_independently():
    keys = jax.random.split(jax.random.key(1), 2_000)
    same = np.ones((3, 1), np.float32)
    drawn = jax.jit(jax.vmap(lambda key: losses.sample_negatives(key, same, same)))(keys)
    # Three rows, each with two equal negatives: eight outcomes of one chance.
    table = np.zeros((3, 3, 3))
    np.add.at(table, tuple(np.asarray(drawn).T), 1)
    found = table[table > 0]
    assert found.size == 8
    assert stats.chisquare(found).pvalue > 1e-3


def test_the_size_of_a_slab_changes_nothing(monkeypatch):
    x, y = np.random.default_rng(1).normal(size=(2, 37, 8)).astype(np.float32)
    keep = np.random.default_rng(2).uniform(size=37) < 0.8
    key = jax.random.key(5)
    # One key for each row, by its number.
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(37))
    noise = jax.vmap(lambda key: jax.random.gumbel(key, (37,), jnp.float32))(keys)
    logits = 3 * x.astype(np.float64) @ y.T + noise
    allowed = keep & ~np.eye(37, dtype=bool)
    best = np.where(allowed, logits, -np.inf).argmax(axis=1)
    # All in one slab, rows one by one, five at a time with two left over.
    for entries in (2**22, 1, 37 * 5):
        monkeypatch.setattr(_matching, "_ENTRIES", entries)
        draw = jax.jit(lambda *args: losses.sample_negatives(*args, logit_scale=3.0, where=keep))
        np.testing.assert_array_equal(draw(key, x, y), np.where(keep, best, np.arange(37)))


def test_without_negatives_a_row_gets_itself():
    draw = jax.jit(losses.sample_negatives)
    key = jax.random.key(0)
    for where in (np.zeros(NUM, bool), np.arange(NUM) == 2):
        np.testing.assert_array_equal(draw(key, X, Y, where=where), np.arange(NUM))
    np.testing.assert_array_equal(draw(key, X, Y, labels=np.zeros(NUM, int)), np.arange(NUM))
    np.testing.assert_array_equal(draw(key, X[:1], Y[:1]), [0])


def test_what_dropped_rows_hold_is_ignored_and_large_scales_find_the_nearest():
    draw = jax.jit(losses.sample_negatives)
    key = jax.random.key(0)
    broken = [np.where(WHERE[:, None], z, np.float32(np.nan)) for z in (X, Y)]
    got = draw(key, *broken, where=WHERE, logit_scale=1e4)
    scores = np.where(KEPT, X @ Y.T, -np.inf)
    np.testing.assert_array_equal(got, np.where(WHERE, scores.argmax(axis=1), np.arange(NUM)))


def test_memory_is_linear_in_the_rows():
    n = 16_384
    shapes = [jax.ShapeDtypeStruct((n, 4), jnp.float32)] * 2
    compiled = jax.jit(losses.sample_negatives).lower(jax.random.key(0), *shapes).compile()
    # A slab of 2²² scores, their noise and its random bits; all n² scores would be 1 GiB.
    assert compiled.memory_analysis().temp_size_in_bytes < 2**27


def test_bad_arguments_are_refused(no_jaxtyping):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"`x` and `y` must share one shape"):
        losses.sample_negatives(key, X, Y[:, :2])
    with pytest.raises(ValueError, match=r"`labels` must have one entry per row"):
        losses.sample_negatives(key, X, Y, labels=LABELS[:2])
    with pytest.raises(ValueError, match=r"`where` must have shape"):
        losses.sample_negatives(key, X, Y, where=WHERE[:2])
    with pytest.raises(TypeError, match=r"`matches` must be boolean, got int32"):
        losses.matching_loss(X[:, 0], np.ones(NUM, np.int32))
