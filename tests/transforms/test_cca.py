import jax
import numpy as np
import pytest
import scipy.linalg
import sklearn.datasets

from crossmodal_jax.transforms import canonical_variates, cca, ridge


def data(n=200, dx=6, dy=4, noise=1.0, dtype=np.float64):
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(n, 3))
    x = 2 + latent @ rng.normal(size=(3, dx)) + rng.normal(size=(n, dx))
    y = latent @ rng.normal(size=(3, dy)) - 7 + noise * rng.normal(size=(n, dy))
    return x.astype(dtype), y.astype(dtype)


def eigen_oracle(x, y, l2):
    """Correlations and directions from S_xy S_yy⁻¹ S_yx w = ρ² S_xx w, no whitening."""
    dx = x.shape[1]
    s = np.cov(np.hstack([x, y]).T, ddof=0)
    sxx, sxy, syy = s[:dx, :dx], s[:dx, dx:], s[dx:, dx:]
    sxx = sxx + l2 * np.trace(sxx) / dx * np.eye(dx)
    syy = syy + l2 * np.trace(syy) / y.shape[1] * np.eye(y.shape[1])
    values, vectors = scipy.linalg.eigh(sxy @ np.linalg.solve(syy, sxy.T), sxx)
    return np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1]


@pytest.mark.parametrize("n", [200, 9])  # 9 rows for 10 columns in all
@pytest.mark.parametrize("l2", [1e-2, 1.0])
def test_correlations_and_directions_match_the_eigenproblem(n, l2, x64):
    x, y = data(n)
    params = jax.jit(cca(dim=3, l2=l2).fit)(x, y)
    correlations, directions = eigen_oracle(x, y, l2)
    np.testing.assert_allclose(params.correlations, correlations[:3], rtol=1e-8)
    kernel = np.asarray(params.kernels[0])
    signs = np.sign(np.sum(kernel * directions[:, :3], axis=0))
    np.testing.assert_allclose(kernel * signs, directions[:, :3], rtol=1e-8, atol=1e-8)


def test_linnerud_has_its_known_correlations(x64):
    linnerud = sklearn.datasets.load_linnerud()
    params = cca(dim=3, l2=0.0).fit(linnerud.data, linnerud.target)
    np.testing.assert_allclose(params.correlations, [0.795608, 0.200556, 0.072570], atol=5e-7)


def test_a_side_correlates_with_itself_and_its_linear_maps(x64):
    x, _ = data()
    mixed = x @ np.random.default_rng(1).normal(size=(6, 6)) + 5
    for other in (x, mixed):
        correlations = cca(dim=6, l2=0.0).fit(x, other).correlations
        np.testing.assert_allclose(correlations, 1, atol=1e-10)


def test_variates_are_white_and_correlate_as_told(x64):
    x, y = data()
    params = cca(dim=4, l2=0.0).fit(x, y)
    zx = np.asarray(canonical_variates(params, x, power=0.0))
    zy = np.asarray(canonical_variates(params, y, view=1, power=0.0))
    for z in (zx, zy):
        np.testing.assert_allclose(z.T @ z / len(z), np.eye(4), atol=1e-8)
        np.testing.assert_allclose(z.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(zx.T @ zy / len(zx), np.diag(params.correlations), atol=1e-8)
    weighted = canonical_variates(params, x)
    np.testing.assert_allclose(weighted, zx * np.sqrt(params.correlations), atol=1e-10)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_all_dimensions_predict_as_ridge_does(l2, x64):
    x, y = data()
    full, regression = cca(dim=4, l2=l2), ridge(l2=l2)
    got = full.apply(full.fit(x, y), x)
    expected = regression.apply(regression.fit(x, y), x)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
    back = full.inverse(full.fit(x, y), y)
    np.testing.assert_allclose(
        back, regression.apply(regression.fit(y, x), y), rtol=1e-9, atol=1e-9
    )


def test_fewer_dimensions_lose_least_when_the_rest_is_noise(x64):
    x, y = data(noise=0.0)  # y has rank 3
    t, regression = cca(dim=3, l2=1e-6), ridge(l2=1e-6)
    expected = regression.apply(regression.fit(x, y), x)
    np.testing.assert_allclose(t.apply(t.fit(x, y), x), expected, atol=1e-4)


def test_inverse_undoes_an_invertible_map(x64):
    x, _ = data()
    y = x @ np.random.default_rng(1).normal(size=(6, 6)) + 5
    t = cca(dim=6, l2=0.0)
    params = t.fit(x, y)
    np.testing.assert_allclose(t.apply(params, x), y, atol=1e-8)
    np.testing.assert_allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-8)


@pytest.mark.slow
def test_swapping_the_sides_swaps_the_parameters():
    x, y = data(dtype=np.float32)
    fit = cca(dim=3).fit
    forward, backward = fit(x, y), fit(y, x)
    np.testing.assert_allclose(forward.correlations, backward.correlations, rtol=1e-5)
    z = canonical_variates(forward, x), canonical_variates(backward, x, view=1)
    np.testing.assert_allclose(*np.abs(z), rtol=1e-3, atol=1e-4)


def test_penalty_maps():
    x, y = data(dtype=np.float32)
    correlations = jax.jit(jax.vmap(lambda l2: cca(dim=2, l2=l2).fit(x, y).correlations))
    l2s = np.array([1e-3, 1e-1, 10.0], np.float32)
    for l2, got in zip(l2s, correlations(l2s), strict=True):
        np.testing.assert_allclose(got, eigen_oracle(x, y, l2)[0][:2], rtol=1e-4)


@pytest.mark.parametrize(("dx", "dy"), [(90, 70), (70, 90)])
def test_subspace_finds_the_leading_pairs(dx, dy):
    rng = np.random.default_rng(2)
    latent = rng.normal(size=(2000, 12)) * np.linspace(2, 0.5, 12)
    sides = [latent @ rng.normal(size=(12, d)) + rng.normal(size=(2000, d)) for d in (dx, dy)]
    x, y = (z.astype(np.float32) for z in sides)
    exact = jax.jit(cca(dim=10).fit)(x, y)
    fast = jax.jit(cca(dim=10, solver="subspace").fit)(x, y)
    np.testing.assert_allclose(fast.correlations, exact.correlations, rtol=1e-4)
    assert (np.asarray(fast.correlations) <= np.asarray(exact.correlations) * (1 + 1e-5)).all()
    for view, z in enumerate((x, y)):
        variates = [np.abs(canonical_variates(p, z, view=view)) for p in (fast, exact)]
        np.testing.assert_allclose(*variates, atol=0.02)


def test_bad_arguments_are_named(no_jaxtyping):
    x, y = data()
    with pytest.raises(ValueError, match=r"cca: `dim` must be .* got dim=5 for dx=6 and dy=4"):
        cca(dim=5).fit(x, y)
    with pytest.raises(ValueError, match="did you mean 'subspace'"):
        cca(dim=2, solver="subspce")
    params = cca(dim=2).fit(x, y)
    with pytest.raises(ValueError, match=r"`view` must be 0 \(x\) or 1 \(y\), got 2"):
        canonical_variates(params, x, view=2)
    with pytest.raises(ValueError, match=r"must be \[\*batch, 4\] as fitted"):
        canonical_variates(params, x, view=1)
