import jax
import numpy as np
import pytest
import sklearn.decomposition

from crossmodal_jax.transforms import pca


def data(n=60, d=8, dtype=np.float64):
    rng = np.random.default_rng(0)
    return (3 + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))).astype(dtype)


@pytest.mark.parametrize("n", [60, 6])
def test_components_match_scikit_learn(n, x64):
    x = data(n)
    t = pca(dim=4)
    params = jax.jit(t.fit)(x)
    oracle = sklearn.decomposition.PCA(4, svd_solver="full").fit(x)
    components = np.asarray(params.components)
    signs = np.sign(np.sum(components * oracle.components_.T, axis=0))
    np.testing.assert_allclose(components * signs, oracle.components_.T, atol=1e-8)
    # scikit-learn divides by n − 1.
    np.testing.assert_allclose(
        params.variances * n / (n - 1), oracle.explained_variance_, rtol=1e-8
    )
    share = params.variances / params.total_variance
    np.testing.assert_allclose(share, oracle.explained_variance_ratio_, rtol=1e-8)
    np.testing.assert_allclose(t.apply(params, x) * signs, oracle.transform(x), atol=1e-8)
    restored = t.inverse(params, t.apply(params, x))
    np.testing.assert_allclose(restored, oracle.inverse_transform(oracle.transform(x)), atol=1e-8)


def test_all_components_restore_the_data(x64):
    x = data()
    t = pca(dim=8)
    params = t.fit(x)
    np.testing.assert_allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-10)


def test_signs_are_fixed():
    x = data(dtype=np.float32)
    components = np.asarray(pca(dim=5).fit(x).components)
    largest = np.abs(components).argmax(0)
    assert (components[largest, np.arange(5)] > 0).all()
    np.testing.assert_allclose(pca(dim=5).fit(6 - x).components, components, atol=1e-4)


def test_subspace_finds_the_leading_directions():
    # Variances that fall slowly, as those of pictures do: λ_j ∝ 1/j.
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(200, 200)))[0]
    x = rng.normal(size=(600, 200)) * np.arange(1, 201) ** -0.5 @ rotation
    x = x.astype(np.float32)
    exact = jax.jit(pca(dim=20).fit)(x)
    fast = jax.jit(pca(dim=20, solver="subspace").fit)(x)
    np.testing.assert_allclose(fast.variances, exact.variances, rtol=1e-2)
    np.testing.assert_allclose(fast.variances[:10], exact.variances[:10], rtol=1e-4)
    assert (np.asarray(fast.variances) <= np.asarray(exact.variances) * (1 + 1e-5)).all()
    gram = fast.components.T @ fast.components
    np.testing.assert_allclose(gram, np.eye(20), atol=1e-5)


def test_bad_arguments_are_named(no_jaxtyping):
    with pytest.raises(ValueError, match=r"pca: `dim` must be .* got dim=9 for d=8"):
        pca(dim=9).fit(data())
    with pytest.raises(ValueError, match="did you mean 'subspace'"):
        pca(dim=1, solver="subspac")
