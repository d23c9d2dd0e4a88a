import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import preprocessing

fit = jax.jit(preprocessing.fit_standardization)


def oracle(x, keep):
    x = np.asarray(x, np.float64)
    means, scales = [], []
    for column, mask in zip(x.T, np.broadcast_to(keep, x.shape[::-1]), strict=True):
        kept = column[mask]
        means.append(kept.mean() if kept.size else 0)
        scales.append(kept.std() if kept.size and kept.std() > 1e-6 * abs(kept).max() else 1)
    return np.array(means), np.array(scales)


@pytest.mark.parametrize("n", [1, 2, 7, 129])
@pytest.mark.parametrize("magnitude", [1e-20, 1.0, 1e30])  # squares leave float32 at both ends
def test_fit_matches_numpy(n, magnitude):
    rng = np.random.default_rng(n)
    x = (magnitude * rng.normal([0, 3, 50, -1], size=(n, 4))).astype(np.float32)
    x[:, 3] = 0.1 * magnitude  # a constant that float32 cannot average exactly
    keep = rng.random(n) < 0.7
    params = fit(x, keep)
    mean, scale = oracle(x, keep)
    np.testing.assert_allclose(params.mean, mean, rtol=3e-6, atol=3e-6 * magnitude)
    np.testing.assert_allclose(params.scale, scale, rtol=3e-5)


def test_fit_matches_scikit_learn():
    from sklearn.preprocessing import StandardScaler

    x = np.random.default_rng(0).normal(size=(50, 6)) * np.arange(6)
    with jax.enable_x64(True):
        params = fit(x)
        scaled = preprocessing.standardize(params, x)
    scaler = StandardScaler().fit(x)
    np.testing.assert_allclose(params.mean, scaler.mean_, atol=1e-12)
    np.testing.assert_allclose(params.scale, scaler.scale_, rtol=1e-12)
    np.testing.assert_allclose(scaled, scaler.transform(x), atol=1e-12)


def test_standardised_columns_have_mean_0_and_deviation_1():
    x = np.random.default_rng(1).gamma(2.0, size=(200, 3)).astype(np.float32)
    y = np.asarray(preprocessing.standardize(fit(x), x), np.float64)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-5)


def test_unstandardize_undoes_standardize():
    x = np.random.default_rng(2).normal(3, 20, size=(2, 5, 3)).astype(np.float32)
    params = fit(x[0])
    y = preprocessing.unstandardize(params, preprocessing.standardize(params, x))
    np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("payload", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("entries", [False, True])
def test_payload_of_dropped_entries_changes_nothing(payload, entries, strict):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(9, 4)).astype(np.float32)
    where = rng.random((9, 4) if entries else 9) < 0.6
    mask = where if entries else where[:, None]
    call = jax.jit(jax.value_and_grad(lambda x: sum(jnp.sum(jnp.sin(p)) for p in fit(x, where))))
    expected, expected_grad = call(np.where(mask, x, 0))
    got, got_grad = call(np.where(mask, x, np.float32(payload)))
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got_grad, expected_grad)
    assert (np.asarray(got_grad)[~np.broadcast_to(mask, x.shape)] == 0).all()


def test_dropping_rows_is_deleting_them():
    x = np.random.default_rng(4).normal(size=(20, 3)).astype(np.float32)
    keep = np.arange(20) % 3 > 0
    for got, expected in zip(fit(x, keep), fit(x[keep]), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_nothing_kept_and_constant_columns_leave_data_alone():
    x = jnp.ones((3, 2), jnp.float32)
    for params, mean in (
        (fit(x, jnp.zeros(3, bool)), 0.0),
        (fit(x), 1.0),
        (fit(x, jnp.arange(3) == 0), 1.0),
    ):
        np.testing.assert_array_equal(params.mean, mean)
        np.testing.assert_array_equal(params.scale, 1)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(fit(x).scale)))(x)
    np.testing.assert_array_equal(gradient, 0)


def test_gradients(x64):
    x = jnp.asarray(np.random.default_rng(5).normal(size=(6, 3)))
    where = jnp.array([True, True, False, True, True, True])
    both = jax.jit(lambda x: (fit(x, where), preprocessing.standardize(fit(x), x)))
    check_grads(both, (x,), order=1, modes=("fwd", "rev"))


def test_vmap_fits_every_fold():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(10, 2)).astype(np.float32)
    folds = rng.random((4, 10)) < 0.7
    together = jax.jit(jax.vmap(fit, in_axes=(None, 0)))(x, folds)
    for i, fold in enumerate(folds):
        for got, expected in zip(together, fit(x, fold), strict=True):
            np.testing.assert_allclose(got[i], expected, rtol=1e-6)


def test_low_precision_is_fitted_in_float32(strict):
    x = jnp.arange(1000, dtype=jnp.float32)[:, None].astype(jnp.bfloat16)
    params = fit(x)
    assert params.mean.dtype == jnp.float32
    expected = np.asarray(x, np.float64)
    np.testing.assert_allclose(params.mean, expected.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(params.scale, expected.std(axis=0), rtol=1e-5)
    assert preprocessing.standardize(params, x).dtype == jnp.float32


def test_float64_stays_float64(x64, strict):
    x = jnp.asarray(np.random.default_rng(7).normal(size=(5, 2)))
    params = fit(x)
    assert params.mean.dtype == params.scale.dtype == jnp.float64
    assert preprocessing.standardize(params, x).dtype == jnp.float64
    assert preprocessing.standardize(params, x.astype(jnp.float32)).dtype == jnp.float64


@pytest.mark.usefixtures("no_jaxtyping")
def test_faulty_shapes_are_named():
    x, params = jnp.ones((4, 3)), fit(jnp.ones((4, 3)))
    with pytest.raises(ValueError, match=r"fit_standardization: `x` must be a matrix .*\(3,\)"):
        fit(x[0])
    with pytest.raises(ValueError, match=r"fit_standardization: `where` must be boolean .*\(3,\)"):
        fit(x, jnp.ones(3, bool))
    for name in ("standardize", "unstandardize"):
        with pytest.raises(ValueError, match=rf"^{name}: the last axis of `x` must be the 3 col"):
            getattr(preprocessing, name)(params, x[:, :2])


def test_one_compilation_for_one_shape():
    traces = []

    @jax.jit
    def call(x, where):
        traces.append(1)
        return preprocessing.standardize(fit(x, where), x)

    for seed in range(2):
        x = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
        call(x, x[:, 0] > 0)
    assert len(traces) == 1
