"""CCA of any number of views: cca-zoo, SciPy's eigenproblems, two views, missing views."""

import functools

import cca_zoo.linear
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from crossmodal_jax.numerics import init_moments, update_moments
from crossmodal_jax.transforms import (
    canonical_variates,
    cca,
    generalized_cca,
    multiset_cca,
    view_variates,
)

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

WIDTHS = (6, 4, 5)
FACTORIES = {"generalized_cca": generalized_cca, "multiset_cca": multiset_cca}
both = pytest.mark.parametrize("name", FACTORIES)


def data(n=120, widths=WIDTHS, noise=1.0, dtype=np.float64):
    """Views of one latent of 3 dimensions, each of mean variance 1 with divisor n − 1."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(n, 3)) * [1.5, 1.0, 0.7]
    views = [latent @ rng.normal(size=(3, d)) + noise * rng.normal(size=(n, d)) + 3 for d in widths]
    return [(x / np.sqrt(np.var(x, axis=0, ddof=1).mean())).astype(dtype) for x in views]


@functools.cache
def fitted(name, l2):
    return jax.jit(FACTORIES[name](dim=3, l2=l2).fit)


def aligned(got, expected):
    """`got` with the sign of each column that agrees with `expected`."""
    return got * np.sign(np.sum(got * expected, axis=0))


def centred(views):
    return [x - x.mean(0) for x in views]


def gram(x, l2):
    return x.T @ x + len(x) * l2 * np.trace(x.T @ x / len(x)) / x.shape[1] * np.eye(x.shape[1])


@pytest.mark.parametrize("l2", [1e-2, 0.5])
def test_generalized_matches_the_eigenproblem_over_rows(l2, x64):
    views = data()
    params = fitted("generalized_cca", l2)(views)
    xs = centred(views)
    total = sum(x @ np.linalg.solve(gram(x, l2), x.T) for x in xs) / 3
    values, vectors = np.linalg.eigh(total)
    np.testing.assert_allclose(params.strengths, values[::-1][:3], rtol=1e-8)
    shared = vectors[:, ::-1][:, :3] * np.sqrt(len(total))
    for x, kernel in zip(xs, params.kernels, strict=True):
        expected = np.linalg.solve(gram(x, l2), x.T @ shared)
        np.testing.assert_allclose(aligned(kernel, expected), expected, rtol=1e-8, atol=1e-9)
    # One sign for all views of a coordinate.
    got = generalized_cca(dim=3).apply(params, views)
    shared = aligned(shared, got)
    np.testing.assert_allclose(got, shared * params.strengths, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("l2", [1e-2, 0.5])
def test_multiset_matches_the_generalised_eigenproblem(l2, x64):
    views = data()
    params = fitted("multiset_cca", l2)(views)
    xs = centred(views)
    joint = np.hstack(xs)
    within = scipy.linalg.block_diag(*(gram(x, l2) for x in xs))
    between = joint.T @ joint - scipy.linalg.block_diag(*(x.T @ x for x in xs))
    values, vectors = scipy.linalg.eigh(between, within)
    np.testing.assert_allclose(params.strengths, values[::-1][:3] / 2, rtol=1e-8)
    expected = vectors[:, ::-1][:, :3] * np.sqrt(3 * len(joint))
    got = np.vstack(params.kernels)
    np.testing.assert_allclose(aligned(got, expected), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "oracle"), [("generalized_cca", "GCCA"), ("multiset_cca", "MCCA")]
)
def test_matches_cca_zoo(name, oracle, x64):
    # Its blend (1 − c) S + c I is (1 − c) times ours where the mean variance is 1.
    views, l2 = data(), 0.1
    model = getattr(cca_zoo.linear, oracle)(n_components=3, shrinkage=l2 / (1 + l2)).fit(views)
    got = fitted(name, l2)(views)
    mine, theirs = np.vstack(got.kernels), np.vstack(model.weights_)
    mine, theirs = (w / np.linalg.norm(w, axis=0) for w in (mine, theirs))
    np.testing.assert_allclose(aligned(mine, theirs), theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_multiset_of_two_views_is_cca(l2, x64):
    views = data()[:2]
    got = fitted("multiset_cca", l2)(views)
    expected = jax.jit(cca(dim=3, l2=l2).fit)(*views)
    np.testing.assert_allclose(got.strengths, expected.correlations, rtol=1e-8)
    z = [view_variates(got, x, view=m) for m, x in enumerate(views)]
    both = [canonical_variates(expected, x, view=m, power=0.0) for m, x in enumerate(views)]
    stacked, expected = np.vstack(z), np.vstack(both)
    np.testing.assert_allclose(aligned(stacked, expected), expected, rtol=1e-8, atol=1e-8)


def test_without_penalty_all_three_have_the_same_directions(x64):
    views = data()
    generalized, multiset = (fitted(name, 0.0)(views) for name in FACTORIES)
    # The whitened blocks differ by the identity: 3 μ = 1 + 2 λ.
    np.testing.assert_allclose(3 * generalized.strengths, 1 + 2 * multiset.strengths, rtol=1e-8)
    mine, theirs = (np.vstack(p.kernels) for p in (generalized, multiset))
    mine, theirs = (w / np.linalg.norm(w, axis=0) for w in (mine, theirs))
    np.testing.assert_allclose(aligned(mine, theirs), theirs, atol=1e-8)
    pair = fitted("generalized_cca", 0.0)(views[:2])
    rho = jax.jit(cca(dim=3, l2=0.0).fit)(*views[:2]).correlations
    np.testing.assert_allclose(pair.strengths, (1 + rho) / 2, rtol=1e-8)


def test_sums_of_multiset_variates_are_uncorrelated(x64):
    views = data()
    total = 3 * np.asarray(multiset_cca(dim=3).apply(fitted("multiset_cca", 0.0)(views), views))
    covariance = total.T @ total / len(total)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-8)


@both
def test_views_without_noise_agree_on_the_latent(name, x64):
    views = data(noise=1e-6)
    params = fitted(name, 0.0)(views)
    np.testing.assert_allclose(params.strengths, 1, atol=1e-6)
    z = [view_variates(params, x, view=m) for m, x in enumerate(views)]
    for other in z[1:]:
        np.testing.assert_allclose(other, z[0], atol=1e-4)
    z = np.asarray(z[0])
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(3), atol=1e-4)


@both
def test_order_of_the_views_is_a_matter_of_names(name, x64):
    views, order = data(), [2, 0, 1]
    forward, moved = fitted(name, 0.1)(views), fitted(name, 0.1)([views[m] for m in order])
    np.testing.assert_allclose(moved.strengths, forward.strengths, rtol=1e-8)
    for kernel, m in zip(moved.kernels, order, strict=True):
        np.testing.assert_allclose(np.abs(kernel), np.abs(forward.kernels[m]), atol=1e-8)


@both
def test_moments_of_three_views_suffice(name):
    views = data(dtype=np.float32)
    t = FACTORIES[name](dim=3, l2=0.1)
    state = init_moments(WIDTHS)
    for rows in np.split(np.arange(120), 4):
        state = update_moments(state, [x[rows] for x in views])
    got, expected = jax.jit(t.solve)(state), fitted(name, 0.1)(views)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def presence(n=120):
    present = np.random.default_rng(1).random((n, 3)) < 0.7
    present[0] = False
    return present


_OBSERVED = jax.jit(
    lambda xs, where, present: generalized_cca(dim=3, l2=0.1).fit(xs, None, where, present)
)


def test_missing_views_match_the_eigenproblem_over_rows(x64):
    views, present = data(), presence()
    params = _OBSERVED(views, np.ones(120, bool), present)
    counts = np.maximum(present.sum(1), 1)
    total, hats = np.zeros((120, 120)), []
    for x, keep in zip(views, present.T, strict=True):
        x = x[keep] - x[keep].mean(0)
        solved = np.zeros((x.shape[1], 120))
        solved[:, keep] = np.linalg.solve(gram(x, 0.1), x.T)
        total[keep] += x @ solved
        hats.append(solved)
    values, vectors = np.linalg.eigh(total / np.sqrt(np.outer(counts, counts)))
    np.testing.assert_allclose(params.strengths, values[::-1][:3], rtol=1e-8)
    shared = vectors[:, ::-1][:, :3] / np.sqrt(counts)[:, None] * np.sqrt(present.sum())
    for kernel, solved in zip(params.kernels, hats, strict=True):
        np.testing.assert_allclose(
            aligned(kernel, solved @ shared), solved @ shared, rtol=1e-8, atol=1e-9
        )
    # The mean of the predictions of the views that a row has is what G was made of.
    got = np.asarray(generalized_cca(dim=3).apply(params, views, present))
    np.testing.assert_allclose(got, aligned(shared, got) * params.strengths, atol=1e-8)
    assert not got[0].any()


def test_all_views_present_is_the_fit_without_presence(x64):
    views = data()
    keep = np.arange(120) % 5 != 2
    got = _OBSERVED(views, keep, np.ones((120, 3), bool))
    expected = jax.jit(generalized_cca(dim=3, l2=0.1).fit)(views, None, keep)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_rows_without_any_view_are_as_good_as_deleted(x64):
    views, present = data(), presence()
    keep = np.arange(120) % 5 != 2
    poisoned = [
        np.where((p & keep)[:, None], x, np.nan) for x, p in zip(views, present.T, strict=True)
    ]
    got = _OBSERVED(poisoned, keep, present)
    alone = generalized_cca(dim=3, l2=0.1).fit([x[keep] for x in views], None, None, present[keep])
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_a_view_that_is_never_present_is_ignored():
    views, present = data(dtype=np.float32), np.ones((120, 3), bool)
    present[:, 1] = False
    got = _OBSERVED(views, np.ones(120, bool), present)
    rest = fitted("generalized_cca", 0.1)([views[0], views[2]])
    np.testing.assert_allclose(got.strengths, rest.strengths, rtol=1e-4)
    np.testing.assert_allclose(got.kernels[1], 0, atol=1e-5)


@both
def test_absent_payload_reaches_neither_variates_nor_gradients(name, strict):
    views = data(dtype=np.float32)
    t, params = FACTORIES[name](dim=3, l2=0.1), fitted(name, 0.1)(views)
    present = presence()
    poisoned = [np.where(p[:, None], x, np.nan) for x, p in zip(views, present.T, strict=True)]
    total = lambda params, xs: jnp.sum(jnp.square(t.apply(params, xs, present)))
    with jax.debug_nans(False):
        got, slopes = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))(params, poisoned)
    assert all(np.isfinite(slope).all() for slope in jax.tree.leaves(slopes[0]))
    each = [np.asarray(view_variates(params, x, view=m)) for m, x in enumerate(views)]
    number = np.maximum(present.sum(1), 1)
    mean = sum(z * p[:, None] for z, p in zip(each, present.T, strict=True)) / number[:, None]
    np.testing.assert_allclose(got, np.sum(mean**2), rtol=1e-4)
    for slope, p in zip(slopes[1], present.T, strict=True):
        assert np.isfinite(slope).all()
        assert not np.asarray(slope)[~p].any()


@both
def test_bad_arguments_are_named(name, no_jaxtyping):
    views, t = data(9), FACTORIES[name](dim=3)
    with pytest.raises(ValueError, match=rf"{name}: `fit` must have all views in one sequence"):
        t.fit(views[0], views[1])
    with pytest.raises(ValueError, match=rf"{name}: `xs` must be a sequence .* wrap a single"):
        t.fit(views[0])
    with pytest.raises(ValueError, match=rf"{name}: there must be at least two views, got 1"):
        t.fit(views[:1])
    with pytest.raises(ValueError, match=rf"{name}: `dim` must be .* got dim=5 for widths \[6, 4"):
        FACTORIES[name](dim=5).fit(views)
    with pytest.raises(ValueError, match=rf"{name}: .* must be the same sample"):
        t.fit([views[0], views[1][1:]])
    params = t.fit(views)
    with pytest.raises(ValueError, match=rf"{name}: `xs` must hold the 3 views of the fit, got 2"):
        t.apply(params, views[:2])
    with pytest.raises(ValueError, match=r"`xs\[1\]` must be \[\*batch, 4\] as fitted"):
        t.apply(params, [views[0], views[0], views[2]])
    with pytest.raises(ValueError, match=r"view_variates: `view` must be from 0 to 2, .* got 3"):
        view_variates(params, views[0], view=3)
