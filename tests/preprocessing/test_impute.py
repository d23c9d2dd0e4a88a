import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import preprocessing


def holes(seed=0, shape=(30, 4)):
    rng = np.random.default_rng(seed)
    where = rng.random(shape) < 0.7
    return np.where(where, rng.normal(size=shape), np.nan).astype(np.float32), where


def test_impute_matches_scikit_learn():
    from sklearn.impute import SimpleImputer

    x, where = holes()
    params = jax.jit(preprocessing.fit_imputation)(x, where)
    expected = SimpleImputer().fit(x)
    np.testing.assert_allclose(params.fill, expected.statistics_, rtol=1e-5)
    test, test_where = holes(1)
    filled = preprocessing.impute(params, test, test_where)
    np.testing.assert_allclose(filled, expected.transform(test), rtol=1e-5)


def test_present_entries_are_kept_bit_by_bit():
    x, where = holes(2)
    filled = np.asarray(preprocessing.impute(preprocessing.fit_imputation(x, where), x, where))
    np.testing.assert_array_equal(filled[where], x[where])
    assert np.isfinite(filled).all()


@pytest.mark.parametrize("payload", [np.nan, np.inf, 1e30])
def test_payload_changes_no_value_and_no_gradient(payload, strict):
    x, where = holes(3)

    def value(x):
        params = preprocessing.fit_imputation(x, where)
        return jnp.sum(jnp.sin(preprocessing.impute(params, x, where)))

    call = jax.jit(jax.value_and_grad(value))
    expected, got = call(np.where(where, x, 0)), call(np.where(where, x, np.float32(payload)))
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    assert (np.asarray(got[1])[~where] == 0).all()


def test_a_column_without_entries_is_filled_with_0():
    x = jnp.full((3, 1), jnp.nan)
    params = preprocessing.fit_imputation(x, jnp.zeros((3, 1), bool))
    np.testing.assert_array_equal(params.fill, 0)


def test_batch_axes_and_dtype():
    x, where = holes(4, (6, 3))
    params = preprocessing.fit_imputation(x, where)
    many = preprocessing.impute(params, x.reshape(2, 3, 3), where.reshape(2, 3, 3))
    np.testing.assert_array_equal(many.reshape(6, 3), preprocessing.impute(params, x, where))
    assert preprocessing.impute(params, x.astype(np.float16), where).dtype == jnp.float16


@pytest.mark.usefixtures("no_jaxtyping")
def test_faulty_shapes_are_named():
    x, where = holes()
    with pytest.raises(ValueError, match="fit_imputation: `x` and `where` must share one shape"):
        preprocessing.fit_imputation(x, where[:, :2])
    params = preprocessing.fit_imputation(x, where)
    with pytest.raises(ValueError, match=r"impute: .* got x.shape="):
        preprocessing.impute(params, x[:, :2], where[:, :2])
