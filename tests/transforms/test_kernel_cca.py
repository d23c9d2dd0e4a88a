"""Kernel CCA: SciPy's eigenproblem, cca-zoo, the linear kernel, new rows, prediction."""

import functools

import cca_zoo.nonparametric
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from crossmodal_jax.transforms import (
    canonical_variates,
    cca,
    kernel_cca,
    kernel_ridge,
    kernel_variates,
    linear_kernel,
    polynomial_kernel,
    rbf_kernel,
)

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

KERNELS = {"rbf": rbf_kernel(), "cubic": polynomial_kernel(degree=3), "linear": linear_kernel()}


def data(n=40, dx=4, dy=4, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 2))
    x = latent @ rng.normal(size=(2, dx)) + 0.3 * rng.normal(size=(n, dx)) + 1
    y = np.tanh(latent @ rng.normal(size=(2, dy))) + 0.3 * rng.normal(size=(n, dy)) - 2
    return x.astype(dtype), y.astype(dtype)


@functools.cache
def fitted(kernel, l2, dim=3):
    return jax.jit(kernel_cca(dim=dim, l2=l2, kernel=KERNELS[kernel]).fit)


def standard(x):
    x = x - x.mean(0)
    return x / np.sqrt(np.mean(x**2))


def gram(kernel, x, new=None):
    """Kernel matrix in plain NumPy, centred in the feature space of the rows of x."""
    scale = np.sqrt(np.mean((x - x.mean(0)) ** 2))
    u, v = ((z - x.mean(0)) / scale for z in (x, x if new is None else new))
    d = x.shape[1]
    k = {
        "rbf": lambda a, b: np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / d),
        "cubic": lambda a, b: (a @ b.T / d + 1) ** 3,
        "linear": lambda a, b: a @ b.T / d,
    }[kernel]
    fit, rows = k(u, u), k(v, u)
    return rows - fit.mean(0) - rows.mean(1, keepdims=True) + fit.mean()


def aligned(got, expected):
    return got * np.sign(np.sum(got * expected, axis=0))


@pytest.mark.parametrize("kernel", KERNELS)
def test_matches_the_generalised_eigenproblem(kernel, x64):
    # max αᵀ K_x K_y β with α, β restrained by K² + nλK, the blocks of one eigenproblem.
    x, y = data()
    params = fitted(kernel, 0.05)(x, y)
    kx, ky = gram(kernel, x), gram(kernel, y)
    n = len(x)
    within = [k @ k + 0.05 * np.trace(k) * k for k in (kx, ky)]
    # Centred matrices are singular: solved in the span of their eigenvectors.
    bases = [scipy.linalg.orth(k, rcond=1e-9) for k in (kx, ky)]
    within = scipy.linalg.block_diag(*(b.T @ w @ b for b, w in zip(bases, within, strict=True)))
    cross = bases[0].T @ kx @ ky @ bases[1]
    between = np.block(
        [[np.zeros((len(cross),) * 2), cross], [cross.T, np.zeros((cross.shape[1],) * 2)]]
    )
    values, vectors = scipy.linalg.eigh(between, within)
    np.testing.assert_allclose(params.correlations, values[::-1][:3], rtol=1e-8)
    new = data(seed=1)
    for view, (side, k, rows) in enumerate(zip((x, y), (kx, ky), new, strict=True)):
        part = vectors[: len(cross)] if view == 0 else vectors[len(cross) :]
        weights = bases[view] @ part[:, ::-1][:, :3] * np.sqrt(2 * n)
        for expected, points in ((k @ weights, side), (gram(kernel, side, rows) @ weights, rows)):
            got = kernel_variates(params, points, view=view, kernel=KERNELS[kernel])
            np.testing.assert_allclose(aligned(got, expected), expected, rtol=1e-7, atol=1e-7)


def test_matches_cca_zoo(x64):
    x, y = (standard(z) for z in data())
    # Its blend (1 − c) S + c I with the divisor n − 1, and ours relative to the trace.
    kx, ky = gram("rbf", x), gram("rbf", y)
    ratios = [0.05 * np.trace(k) / (len(x) - 1) for k in (kx, ky)]
    model = cca_zoo.nonparametric.KCCA(
        n_components=3, kernel="rbf", gamma=1 / 4, shrinkage=[r / (1 + r) for r in ratios]
    ).fit([x, y])
    params = fitted("rbf", 0.05)(x, y)
    for view, (z, theirs) in enumerate(zip((x, y), model.transform([x, y]), strict=True)):
        mine = np.asarray(kernel_variates(params, z, view=view))
        mine, theirs = (w / np.linalg.norm(w, axis=0) for w in (mine, theirs))
        np.testing.assert_allclose(aligned(mine, theirs), theirs, atol=1e-6)


def test_linear_kernel_is_cca(x64):
    # tr(K)/n of standardised rows is the mean variance 1, cca's penalty is per column: d · l2.
    x, y = data()
    t = kernel_cca(dim=3, l2=0.02, kernel=KERNELS["linear"])
    other = cca(dim=3, l2=4 * 0.02)
    params, linear = fitted("linear", 0.02)(x, y), jax.jit(other.fit)(x, y)
    np.testing.assert_allclose(params.correlations, linear.correlations, rtol=1e-8)
    for view, z in enumerate((x, y)):
        got = kernel_variates(params, z, view=view, kernel=KERNELS["linear"])
        expected = canonical_variates(linear, z, view=view, power=0.0)
        np.testing.assert_allclose(aligned(got, expected), expected, rtol=1e-7, atol=1e-7)
    new = data(seed=1)
    np.testing.assert_allclose(t.apply(params, new[0]), other.apply(linear, new[0]), rtol=1e-7)
    np.testing.assert_allclose(t.inverse(params, new[1]), other.inverse(linear, new[1]), rtol=1e-7)


def test_all_dimensions_predict_as_kernel_ridge_does(x64):
    x, y = data(20)
    t, other = kernel_cca(dim=19, l2=0.05), kernel_ridge(l2=0.05)
    new = data(seed=1)[0]
    got = t.apply(fitted("rbf", 0.05, 19)(x, y), new)
    np.testing.assert_allclose(got, other.apply(jax.jit(other.fit)(x, y), new), rtol=1e-6)


def test_variates_are_centred_and_correlate_across(x64):
    x, y = data()
    params = fitted("rbf", 0.05)(x, y)
    zx, zy = (np.asarray(kernel_variates(params, z, view=m)) for m, z in enumerate((x, y)))
    np.testing.assert_allclose(zx.mean(0), 0, atol=1e-10)
    cross = zx.T @ zy / len(zx)
    np.testing.assert_allclose(cross, np.diag(params.correlations), atol=1e-8)


def test_finds_what_no_linear_map_can():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2)).astype(np.float32)
    y = np.stack([np.sum(x**2, axis=1), rng.normal(size=120)], axis=1).astype(np.float32)
    params = jax.jit(kernel_cca(dim=1, l2=1e-2).fit)(x[:80], y[:80])
    zx, zy = (kernel_variates(params, z[80:], view=m)[:, 0] for m, z in enumerate((x, y)))
    assert np.corrcoef(zx, zy)[0, 1] > 0.9
    linear = jax.jit(cca(dim=1).fit)(x[:80], y[:80])
    wx, wy = (canonical_variates(linear, z[80:], view=m)[:, 0] for m, z in enumerate((x, y)))
    assert np.corrcoef(wx, wy)[0, 1] < 0.4


def test_more_dimensions_than_correlations_are_finite():
    x, y = data(30, dtype=np.float32)
    x[:, 1:] = x[:, :1]  # the linear kernel has rank 1
    params = fitted("linear", 1e-2)(x, y)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    # What is left after the only correlation is rounding, which has no direction.
    assert (np.asarray(params.correlations[1:]) < 1e-5).all()
    for coefficients in params.coefficients:
        assert not np.asarray(coefficients)[:, 1:].any()


@pytest.mark.parametrize("seed", range(5))  # the rounding of some is exactly 0
def test_directions_that_do_not_correlate_are_left_out(seed):
    # One orthogonal column in common, the rest of each side orthogonal to the other side.
    q = np.random.default_rng(seed).normal(size=(30, 7))
    q = np.linalg.qr(q - q.mean(0))[0].astype(np.float32)
    params = fitted("linear", 1e-2)(q[:, :4], q[:, 3:])
    assert params.correlations[0] > 0.9
    assert (np.asarray(params.correlations[1:]) < 1e-5).all()
    for coefficients in params.coefficients:
        assert not np.asarray(coefficients)[:, 1:].any()


def test_bad_arguments_are_named(no_jaxtyping):
    x, y = data(10)
    with pytest.raises(ValueError, match=r"kernel_cca: `dim` must be .* got dim=11 for n=10"):
        kernel_cca(dim=11).fit(x, y)
    params = kernel_cca(dim=2).fit(x, y)
    with pytest.raises(ValueError, match=r"kernel_variates: `view` must be 0 .* got 2"):
        kernel_variates(params, x, view=2)
    with pytest.raises(ValueError, match=r"must be \[\*batch, 4\] as fitted"):
        kernel_variates(params, jnp.ones(3))
