"""Tensor CCA: NumPy's alternating least squares, cca-zoo, two views, a planted latent."""

import functools

import cca_zoo.linear
import jax
import numpy as np
import pytest

from crossmodal_jax.transforms import canonical_variates, cca, tensor_cca, view_variates

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

WIDTHS = (5, 4, 3)


def data(n=300, widths=WIDTHS, noise=0.5, seed=0, dtype=np.float64):
    """Views of two skewed latents, each view of mean variance 1."""
    rng = np.random.default_rng(seed)
    latent = rng.exponential(size=(n, 2)) * [1.5, 1.0]
    views = [latent @ rng.normal(size=(2, d)) + noise * rng.normal(size=(n, d)) for d in widths]
    return [(3 + x / np.sqrt(np.var(x, axis=0, ddof=1).mean())).astype(dtype) for x in views]


@functools.cache
def fitted(l2, dim=2):
    return jax.jit(tensor_cca(dim=dim, l2=l2).fit)


def whitened(x, l2):
    """Rows whitened by the symmetric root, not the Cholesky factor."""
    x = x - x.mean(0)
    s = x.T @ x / len(x)
    values, vectors = np.linalg.eigh(s + l2 * np.trace(s) / len(s) * np.eye(len(s)))
    return x @ (vectors / np.sqrt(values)) @ vectors.T


def aligned(got, expected):
    return got * np.sign(np.sum(got * expected, axis=0))


def als(tensor, dim, rounds=2000):
    """Best CP found from the leading singular vectors, each step a dense least squares."""
    unfold = lambda m: np.moveaxis(tensor, m, 0).reshape(tensor.shape[m], -1)
    factors = [np.linalg.svd(unfold(m))[0][:, :dim] for m in range(3)]
    for _ in range(rounds):
        for m in range(3):
            a, b = (u for j, u in enumerate(factors) if j != m)
            design = np.stack([np.outer(a[:, k], b[:, k]).ravel() for k in range(dim)], axis=1)
            solved = np.linalg.lstsq(design, unfold(m).T)[0].T
            strengths = np.linalg.norm(solved, axis=0)
            factors[m] = solved / strengths
    order = np.argsort(-strengths)
    return [u[:, order] for u in factors], strengths[order]


@pytest.mark.parametrize("l2", [1e-2, 0.3])
def test_matches_alternating_least_squares(l2, x64):
    views = data()
    params = fitted(l2)(views)
    z = [whitened(x, l2) for x in views]
    factors, strengths = als(np.einsum("na,nb,nc->abc", *z) / len(z[0]), 2)
    np.testing.assert_allclose(params.strengths, strengths, rtol=1e-8)
    for m, (x, rows, u) in enumerate(zip(views, z, factors, strict=True)):
        got = view_variates(params, x, view=m)
        np.testing.assert_allclose(aligned(got, rows @ u), rows @ u, rtol=1e-7, atol=1e-7)


def test_matches_cca_zoo(x64):
    views, l2 = data(), 0.1
    # Its blend (1 − c) S + c I is (1 − c) times ours where the mean variance is 1.
    model = cca_zoo.linear.TCCA(n_components=2, shrinkage=l2 / (1 + l2)).fit(views)
    got = fitted(l2)(views)
    for mine, theirs in zip(got.kernels, model.weights_, strict=True):
        mine, theirs = (w / np.linalg.norm(w, axis=0) for w in (mine, theirs))
        cosines = np.abs(mine.T @ theirs)
        # It stops early, when the error changes by 1e-8, and orders as found.
        np.testing.assert_allclose(cosines.max(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_two_views_are_cca(l2, x64):
    views = data()[:2]
    got = fitted(l2, 3)(views)
    expected = jax.jit(cca(dim=3, l2=l2).fit)(*views)
    np.testing.assert_allclose(got.strengths, expected.correlations, rtol=1e-8)
    stacked = np.vstack([view_variates(got, x, view=m) for m, x in enumerate(views)])
    theirs = np.vstack(
        [canonical_variates(expected, x, view=m, power=0.0) for m, x in enumerate(views)]
    )
    np.testing.assert_allclose(aligned(stacked, theirs), theirs, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("num_views", [3, 4])
def test_recovers_planted_latents(num_views):
    rng = np.random.default_rng(1)
    latent = rng.exponential(size=(2000, 2))
    # Nuisance shared by pairs of views only, stronger than the latents.
    shared = 2 * rng.normal(size=(2000, num_views))
    views = []
    for m in range(num_views):
        sources = np.hstack([latent, shared[:, [m, (m + 1) % num_views]]])
        x = sources @ rng.normal(size=(4, 4)) + 0.1 * rng.normal(size=(2000, 4))
        views.append(x.astype(np.float32))
    t = tensor_cca(dim=2, l2=1e-3)
    params = jax.jit(t.fit)(views)
    got = np.asarray(t.apply(params, views))
    correlations = np.abs(np.corrcoef(got.T, latent.T)[:2, 2:])
    assert (correlations.max(axis=1) > 0.9).all()
    assert set(correlations.argmax(axis=1)) == {0, 1}


def test_variates_of_all_views_covary_and_the_moment_is_positive(x64):
    views = data()
    views[1] = -views[1]
    params = fitted(0.01)(views)
    z = [np.asarray(view_variates(params, x, view=m)) for m, x in enumerate(views)]
    for other in z[1:]:
        assert (np.sum(z[0] * other, axis=0) > 0).all()
    assert (np.asarray(params.strengths) > 0).all()
    assert (np.diff(params.strengths) < 0).all()
    assert (np.mean(z[0] * z[1] * z[2], axis=0) > 0).all()


@pytest.mark.parametrize("num_views", [3, 4])
def test_one_dimension_has_the_joint_moment_as_strength(num_views, x64):
    found = []
    for seed in range(6):
        # Pure noise: with an even number of views the moment may be negative.
        views = np.random.default_rng(seed).normal(size=(num_views, 12, 2))
        params = fitted(0.01, 1)(list(views))
        z = [np.asarray(view_variates(params, x, view=m)) for m, x in enumerate(views)]
        np.testing.assert_allclose(params.strengths, np.mean(np.prod(z, axis=0), 0), rtol=1e-8)
        assert all(np.sum(other * z[0]) >= 0 for other in z)
        found.append(float(params.strengths[0]))
    assert min(found) < 0 if num_views == 4 else min(found) > 0


def test_dropped_rows_equal_deleted_rows(x64):
    views, keep = data(), np.arange(300) % 3 != 1
    poisoned = [np.where(keep[:, None], x, np.nan) for x in views]
    got, alone = fitted(0.1)(poisoned, None, keep), fitted(0.1)([x[keep] for x in views])
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("case", ["constant", "one row", "nothing", "repeated"])
def test_degenerate_views_are_finite(case, strict):
    views, keep = data(dtype=np.float32), np.ones(300, bool)
    if case == "constant":
        views[0][:], views[2][:] = 3, 0
    elif case == "one row":
        keep[1:] = False
    elif case == "nothing":
        keep[:] = False
    else:
        views[1][:, 1:] = views[1][:, :1]
    params = fitted(0.01)(views, None, keep)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_bad_arguments_are_named(no_jaxtyping):
    views = data(9)
    with pytest.raises(ValueError, match=r"tensor_cca: `dim` must be .* got dim=4 for widths"):
        tensor_cca(dim=4).fit(views)
    with pytest.raises(ValueError, match="tensor_cca: `fit` must have all views"):
        tensor_cca(dim=1).fit(*views[:2])
