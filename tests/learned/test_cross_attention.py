"""The laws of the learned transforms, for the one of sequences; and its own."""

import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax.learned import cross_attention
from crossmodal_jax.transforms import predictive

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
import operators_tokens

TINY = {"dim": 8, "num_heads": 2, "num_steps": 30, "batch_size": 16, "tx": optax.adam(1e-2)}
T = cross_attention(**TINY)
FIT, APPLY = jax.jit(T.fit), jax.jit(T.apply)
N, TX, TY = 40, 4, 3
ALL = np.ones((N, TX), bool), np.ones((N, TY), bool)


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, TX, 3))
    y = np.sin(x[:, ::-1][:, :TY] @ rng.normal(size=(3, 2))) + 0.1 * rng.normal(size=(N, TY, 2))
    return (1 + x).astype(np.float32), (100 * y - 1).astype(np.float32)


def some():
    """Masks of tokens: holes anywhere, rows without x, rows without y."""
    rng = np.random.default_rng(1)
    where_x, where_y = rng.random((N, TX)) < 0.7, rng.random((N, TY)) < 0.7
    where_x[::7], where_y[1::7] = False, False
    return where_x, where_y


def poisoned(z, keep, bad=np.nan):
    return np.where(keep[..., None], z, np.float32(bad))


def assert_close(got, expected):
    # Predictions of size 100, in float32 through a few steps of Adam.
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-2)


def test_training_lowers_the_loss():
    x, y = data()
    losses = FIT(x, y, ALL).losses
    assert losses.shape == (30,)
    assert np.mean(losses[-5:]) < 0.97 * np.mean(losses[:5])


def test_payload_of_dropped_tokens_has_no_influence():
    x, y = data()
    where = some()
    kept_x = where[0] & where[1].any(axis=1, keepdims=True)
    got = FIT(poisoned(x, kept_x), poisoned(y, where[1], np.inf), where)
    expected = FIT(poisoned(x, kept_x, 0), poisoned(y, where[1], 0), where)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    prediction = APPLY(got, poisoned(x, where[0]), where[0])
    assert np.isfinite(prediction).all()
    np.testing.assert_array_equal(prediction, APPLY(got, poisoned(x, where[0], 7), where[0]))


def test_means_and_residuals_are_those_of_the_tokens_that_are_kept():
    x, y = data()
    where_x, where_y = some()
    params = FIT(x, y, (where_x, where_y))
    kept_x, kept_y = x[where_x & where_y.any(axis=1, keepdims=True)], y[where_y]
    np.testing.assert_allclose(params.scale_x.mean, kept_x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(params.scale_x.std, kept_x.std(0), rtol=1e-5)
    np.testing.assert_allclose(params.scale_y.mean, kept_y.mean(0), rtol=1e-4)
    np.testing.assert_allclose(params.scale_y.std, kept_y.std(0), rtol=1e-5)
    errors = (y - APPLY(params, x, where_x))[where_y]
    np.testing.assert_allclose(params.residual, np.cov(errors.T, ddof=0), rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("case", ["constant", "repeated", "one token", "nothing kept"])
def test_degenerate_data_are_finite(case):
    x, y = data()
    where = np.ones((N, TX), bool), np.ones((N, TY), bool)
    if case == "constant":
        x[:], y[..., 1:] = 3.1, 0
    elif case == "repeated":
        x[..., 1:], y[..., 1:] = x[..., :1], 1e6 * y[..., :1]
    else:
        where = tuple(np.zeros_like(w) for w in where)
        where[0][0, 0] = where[1][0, 0] = case == "one token"
    params = FIT(x, y, where)
    leaves = [*jax.tree.leaves(params), APPLY(params, x, ALL[0])]
    assert all(np.isfinite(leaf).all() for leaf in leaves)


@functools.cache
def untrained():
    """Two steps in float64 that learn nothing, each of all kept rows; the predictions.

    Two, for a loop of one is unrolled, and its weights, float32 at first, may be rounded twice.
    """
    x, y = (z.astype(np.float64) for z in data())
    where_x, where_y = some()
    batch_size = int(where_y.any(axis=1).sum())
    t = cross_attention(dim=8, num_steps=2, batch_size=batch_size, tx=optax.sgd(0.0))
    params = jax.jit(t.fit)(x, y, (where_x, where_y))
    return params, jax.jit(t.apply)(params, x, where_x)


def test_prediction_is_the_definition_in_float64(x64):
    params, got = untrained()
    assert got.dtype == np.float64
    weights, scale_x, scale_y = jax.tree.map(
        np.asarray, (params.weights, params.scale_x, params.scale_y)
    )
    (x, _), (where_x, _) = data(), some()
    # Rows 0 and 7 have no token, others have holes.
    for i in range(8):
        tokens = (x[i][where_x[i]] - scale_x.mean) / scale_x.std
        result = operators_tokens.translator([tokens], weights, [0])
        np.testing.assert_allclose(got[i], scale_y.mean + scale_y.std * result, atol=1e-9)


def test_loss_is_the_mean_over_the_tokens_of_y_that_are_kept(x64):
    params, got = untrained()
    errors = (data()[1] - np.asarray(got))[some()[1]] / params.scale_y.std
    np.testing.assert_allclose(params.losses, [np.mean(np.square(errors))] * 2, rtol=1e-12)


@pytest.mark.slow
def test_dropped_tokens_and_rows_equal_deleted_ones():
    x, y = data()
    keep = np.arange(N) % 4 != 1
    alone = FIT(x[keep], y[keep], (ALL[0][keep], ALL[1][keep]))
    expected = APPLY(alone, x, ALL[0])
    by_row = jax.jit(T.fit)(poisoned(x, keep[:, None]), poisoned(y, keep[:, None]), keep)
    assert_close(APPLY(by_row, x, ALL[0]), expected)
    pair = ALL[0] & keep[:, None], ALL[1] & keep[:, None]
    assert_close(APPLY(FIT(x, y, pair), x, ALL[0]), expected)
    # Padding between the tokens moves nothing.
    padding = np.full((N, 1, 3), np.nan, np.float32)
    padded = np.concatenate([padding, x[:, :2], padding, x[:, 2:]], axis=1)
    where = np.broadcast_to(np.array([0, 1, 1, 0, 1, 1], bool), padded.shape[:2])
    wide = jax.jit(T.fit)(padded[keep], y[keep], (where[keep], None))
    assert_close(APPLY(wide, padded, where), expected)
    np.testing.assert_allclose(
        APPLY(alone, padded, where), APPLY(alone, x, ALL[0]), rtol=1e-4, atol=1e-3
    )


@pytest.mark.slow
def test_order_of_the_rows_does_not_matter_to_whole_batches():
    x, y = data()
    t = cross_attention(**TINY | {"batch_size": N, "num_steps": 10})
    fit, order = jax.jit(t.fit), np.random.default_rng(2).permutation(N)
    expected = APPLY(fit(x, y), x, ALL[0])
    assert_close(APPLY(fit(x[order], y[order]), x, ALL[0]), expected)


@pytest.mark.slow
def test_fits_map_over_folds_and_seeds():
    x, y = data()
    folds = np.arange(N) % 3 != np.arange(3)[:, None]

    def fitted(keep, seed):
        t = cross_attention(**TINY | {"seed": seed})
        return t.apply(t.fit(x, y, keep), x)

    together = jax.jit(jax.vmap(fitted))(folds, jnp.arange(3))
    masks = tuple(mask & folds[0][:, None] for mask in ALL)
    assert_close(together[0], APPLY(FIT(x, y, masks), x, ALL[0]))
    assert np.abs(together[0] - together[1]).max() > 1


@pytest.mark.slow
def test_leading_axes_are_free_and_residuals_are_predictive():
    x, y = data()
    params = FIT(x, y, ALL)
    whole = predictive(T, params, x)
    np.testing.assert_array_equal(whole.covariance, params.residual)
    shaped = APPLY(params, x.reshape(4, 10, TX, 3), ALL[0].reshape(4, 10, TX))
    assert shaped.shape == (4, 10, TY, 2)
    np.testing.assert_allclose(shaped.reshape(N, TY, 2), whole.mean, rtol=1e-4, atol=1e-3)
    one = T.apply(params, x[3])
    np.testing.assert_allclose(one, whole.mean[3], rtol=1e-4, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("given", "kept"), [("bfloat16", "float32"), ("float64", "float64")])
def test_dtype_of_parameters_and_predictions(given, kept, x64):
    x, y = (jnp.asarray(z, given) for z in data())
    params = jax.eval_shape(T.fit, x, y)
    prediction = jax.eval_shape(T.apply, params, x)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, prediction))} == {jnp.dtype(kept)}


@pytest.mark.slow
def test_apply_has_finite_gradients_under_strict_numerics(request):
    x, y = data()
    where = some()
    params = FIT(x, y, where)
    request.getfixturevalue("strict")
    jax.eval_shape(T.fit, x, y, where)
    value = lambda x: jnp.sum(jnp.square(T.apply(params, x, where[0])))
    gradient = jax.jit(jax.grad(value))(x)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[where[0]]).max() > 0
    assert not gradient[~where[0]].any()


@pytest.mark.slow
def test_two_fits_of_one_shape_compile_once():
    x, y = data()
    FIT(x, y, ALL)
    before = FIT._cache_size()
    FIT(x + 1, y, some())
    assert FIT._cache_size() == before


@pytest.mark.slow
@pytest.mark.parametrize("task", ["reversal", "permutation", "linear map", "summary"])
def test_planted_tasks_are_learned(task):
    x = np.random.default_rng(0).normal(size=(768, 5, 2)).astype(np.float32)
    y = {
        "reversal": x[:, ::-1],
        "permutation": x[:, [3, 0, 4, 1, 2]],
        "linear map": x @ np.array([[0.6, -0.8], [0.8, 0.6]], np.float32),
        "summary": np.stack([x.mean(axis=1), x[:, 0]], axis=1),
    }[task]
    t = cross_attention(dim=16, num_steps=300)
    params = jax.jit(t.fit)(x[:512], y[:512])
    errors = y[512:] - jax.jit(t.apply)(params, x[512:])
    assert np.mean(np.square(errors)) < 0.03 * np.var(y[512:])


def test_bad_shapes_and_options_are_named(no_jaxtyping):
    x, y = data()
    params = FIT(x, y, ALL)
    with pytest.raises(
        ValueError,
        match=r"cross_attention: .* \[\*batch, t, 3\] as fitted, got x.shape=\(40, 4, 2\)",
    ):
        T.apply(params, x[..., 1:])
    with pytest.raises(ValueError, match=r"cross_attention: .* got x.shape=\(3,\); .*single token"):
        T.apply(params, x[0, 0])
    with pytest.raises(ValueError, match=r"`where` must have shape \(40, 4\)"):
        T.apply(params, x, np.ones(40, bool))
    with pytest.raises(ValueError, match=r"`where` must have shape \(40,\)"):
        T.fit(x, y, ALL[0])
    with pytest.raises(ValueError, match=r"`where` must have shape \(40, 3\)"):
        T.fit(x, y, (ALL[0], ALL[0]))
    with pytest.raises(ValueError, match=r"`where` must be .*, got 1 entries; write \(where_x"):
        T.fit(x, y, (ALL[0],))
    with pytest.raises(ValueError, match=r"x.shape=\(40, 4, 3\), y.shape=\(39, 3, 2\)"):
        T.fit(x, y[1:])
    with pytest.raises(ValueError, match="cross_attention: `fit` must have both sides"):
        T.fit(x)
    with pytest.raises(ValueError, match=r"cross_attention: .*num_steps=-1 and batch_size=128"):
        cross_attention(num_steps=-1)
    with pytest.raises(
        ValueError, match=r"cross_attention: `dim` must be at least 2, .*dim=1, num_"
    ):
        cross_attention(dim=1)
