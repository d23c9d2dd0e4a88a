import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.features import fit_selection, select

fit = jax.jit(fit_selection, static_argnames="k")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 7)).astype(np.float32) * np.arange(1, 8, dtype=np.float32)
    y = np.stack([x[:, 0] + x[:, 2], rng.normal(size=50), x[:, 0] * x[:, 1]], 1)
    return x, y.astype(np.float32)


def test_scores_match_numpy(data):
    x, y = data
    where = np.arange(50) % 4 != 1
    correlation = np.corrcoef(x[where].T.astype(float), y[where].T.astype(float))[:7, 7:]
    hostile = np.where(where[:, None], x, np.nan), np.where(where[:, None], y, np.inf)
    got = fit(*hostile, k=3, where=where)
    np.testing.assert_allclose(got.scores, (correlation**2).mean(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(got.indices, np.sort(np.argsort(-got.scores)[:3]))
    compiled = fit._cache_size()
    got = fit(hostile[0], k=3, where=where)
    np.testing.assert_allclose(got.scores, x[where].astype(float).var(0), rtol=1e-5)
    fit(hostile[0], k=3, where=where)
    assert fit._cache_size() == compiled + 1


def test_correlation_ignores_shift_and_scale(data):
    x, y = data
    moved = fit(x * 100 - 3, 7 * y + 1, k=2)
    np.testing.assert_allclose(moved.scores, fit(x, y, k=2).scores, atol=1e-5)


def test_ties_go_to_the_lower_index(strict):
    column = np.random.default_rng(1).normal(size=(20, 1)).astype(np.float32)
    x = np.tile(column, (1, 6))
    np.testing.assert_array_equal(fit(x, k=4).indices, [0, 1, 2, 3])
    np.testing.assert_array_equal(fit(x, column, k=2).indices, [0, 1])


def test_constants_score_zero_and_nan_comes_last(strict):
    n = 1000  # the mean of 0.1 is rounded: what is left would correlate with anything
    noise = np.random.default_rng(2).normal(size=(n, 1)).astype(np.float32)
    constant = np.full((n, 1), 0.1, np.float32)
    x = np.concatenate([constant, noise], 1)
    assert fit(x, noise, k=1).scores[0] == 0
    assert not fit(x, np.concatenate([constant] * 2, 1), k=1).scores.any()
    with jax.debug_nans(False):
        broken = np.concatenate([np.full((n, 1), np.nan, np.float32), x], 1)
        np.testing.assert_array_equal(fit(broken, noise, k=2).indices, [1, 2])
        assert fit(broken, noise, k=1).scores[0] == -np.inf


def test_nothing_kept_is_finite(data):
    x, y = data
    nothing = np.zeros(50, bool)
    assert not fit(x, y, k=2, where=nothing).scores.any()
    assert not fit(x, k=2, where=nothing).scores.any()


def test_vmap_over_folds_and_select(data):
    x, y = data
    folds = np.arange(50) % 3 != np.arange(3)[:, None]
    together = jax.jit(jax.vmap(lambda where: fit_selection(x, y, k=3, where=where)))(folds)
    alone = fit(x[folds[1]], y[folds[1]], k=3)
    np.testing.assert_array_equal(together.indices[1], alone.indices)
    np.testing.assert_array_equal(select(alone, x), x[:, np.asarray(alone.indices)])
    assert select(alone, x[None]).shape == (1, 50, 3)


def test_float64(x64, data):
    x, y = (z.astype(np.float64) for z in data)
    correlation = np.corrcoef(x.T, y.T)[:7, 7:]
    scores = fit(x, y, k=1).scores
    assert scores.dtype == jnp.float64
    np.testing.assert_allclose(scores, (correlation**2).mean(1), rtol=1e-12)


def test_errors(no_jaxtyping):
    x = jnp.zeros((5, 3))
    with pytest.raises(ValueError, match=r"fit_selection: .* got x.shape=\(5, 3\) and k=4"):
        fit_selection(x, k=4)
    with pytest.raises(ValueError, match=r"fit_selection: .*y.shape=\(4, 2\)"):
        fit_selection(x, jnp.zeros((4, 2)), k=1)
    with pytest.raises(ValueError, match=r"select: `x` must be \[\*batch, 3\] as scored"):
        select(fit_selection(x, k=1), jnp.zeros((5, 4)))
