"""What every transform promises, one table over all members."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import numerics
from crossmodal_jax.transforms import (
    FACTORIES,
    cca,
    chain,
    coral,
    entropic_ot,
    gaussian_map,
    generalized_cca,
    gromov_wasserstein,
    kernel_cca,
    kernel_ridge,
    multiset_cca,
    nystrom,
    partial_cca,
    pca,
    pls,
    predictive,
    probabilistic_cca,
    procrustes,
    procrustes_wasserstein,
    random_features,
    reduced_rank,
    ridge,
    tensor_cca,
    whiten,
)


def of_two_views(t):
    """A transform of a sequence of views, fitted to x and y and applied to x alone."""

    def fit(x, y=None, where=None):
        return t.fit([x] if y is None else [x, y], where=where)

    def apply(params, x):
        # The second view is absent, and what it holds must not matter.
        other = jnp.full((*x.shape[:-1], 4), 7, x.dtype)
        return t.apply(params, [x, other], np.array([True, False]))

    return t._replace(fit=fit, apply=apply)


MEMBERS = {
    "cca": cca(dim=2),
    "cca subspace": cca(dim=2, solver="subspace"),
    "chain": chain(pca(dim=5), cca(dim=2)),
    "coral": coral(),
    # Plans that are nearly done, so that fits in another order agree.
    "entropic_ot": entropic_ot(epsilon=0.2, tolerance=1e-5),
    "gaussian_map": gaussian_map(),
    "generalized_cca": of_two_views(generalized_cca(dim=2)),
    "gromov_wasserstein": gromov_wasserstein(epsilon=0.5, num_steps=5, tolerance=1e-5),
    "kernel_cca": kernel_cca(dim=2, l2=0.1),
    "kernel_ridge": kernel_ridge(l2=1e-2),
    "multiset_cca": of_two_views(multiset_cca(dim=2)),
    "nystrom": nystrom(key=jax.random.key(0), dim=5, l2=1e-2),
    "partial_cca": partial_cca(dim=2),
    "pca": pca(dim=2),
    "pca subspace": pca(dim=2, solver="subspace"),
    "pls": pls(dim=2),
    "probabilistic_cca": probabilistic_cca(dim=2),
    "procrustes": procrustes(scaled=True),
    "procrustes special": procrustes(kind="special"),
    # One turn: of many between clouds of no common shape, each enlarges the rounding of the last.
    "procrustes_wasserstein": procrustes_wasserstein(num_steps=1, tolerance=1e-5),
    "random_features": random_features(key=jax.random.key(0), dim=9, l2=1e-2),
    "reduced_rank": reduced_rank(dim=2),
    "ridge": ridge(),
    "tensor_cca": of_two_views(tensor_cca(dim=2)),
    "whiten": whiten(),
}
# What cannot be solved from second moments has no `solve`.
SOLVED = [name for name, t in MEMBERS.items() if t.solve is not None]
PAIRED = [
    "cca",
    "kernel_cca",
    "kernel_ridge",
    "nystrom",
    "partial_cca",
    "pls",
    "probabilistic_cca",
    "procrustes",
    "random_features",
    "reduced_rank",
    "ridge",
]
"""Fits that need both sides."""
PREDICTS = ["cca subspace", *(name for name in PAIRED if name != "kernel_ridge")]
"""Regressions that keep the covariance of their residual; kernel ridge keeps that of its
leave-one-out predictions."""
UNPAIRED = ["coral", "entropic_ot", "gaussian_map", "gromov_wasserstein", "procrustes_wasserstein"]
"""Fits of two clouds, each with a mask of its own; here both get the same rows."""
SAME_WIDTH = ["coral", "entropic_ot", "gaussian_map", "procrustes_wasserstein"]
"""Maps within one space, for which x and y have one width."""


def fit_of(name):
    fit = MEMBERS[name].fit
    if name not in UNPAIRED:
        return fit
    return lambda x, y=None, where=None: fit(x, y, where, where)


FITS = {name: jax.jit(fit_of(name)) for name in MEMBERS}
APPLIES = {name: jax.jit(t.apply) for name, t in MEMBERS.items()}
# By day all members leave dropped rows out, and some of each family obey the other laws; all do at
# night.
BY_DAY = ("cca", "gaussian_map", "kernel_ridge", "nystrom", "pca", "procrustes", "ridge")
every_member = pytest.mark.parametrize("name", MEMBERS)
each_member = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in BY_DAY)) for name in MEMBERS],
)


def data(name=None, n=40, dx=14, dy=4, mean=1.0):
    dy = dx if name in SAME_WIDTH else dy
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, dx)) * np.linspace(2, 0.5, dx)
    y = x @ rng.normal(size=(dx, dy)) + rng.normal(size=(n, dy))
    return (mean + x).astype(np.float32), (y - mean).astype(np.float32)


def assert_close(a, b, tolerance=5e-4):
    # Predictions near 10, through float32 eigenvectors of nearly equal correlations.
    for got, expected in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_table_holds_every_factory():
    # A chain is made of transforms, not of options, so a configuration cannot name it.
    assert {name.split()[0] for name in MEMBERS} == {"chain", *FACTORIES}


@every_member
def test_dropped_rows_equal_deleted_rows(name):
    x, y = data(name)
    keep = np.arange(40) % 4 != 1
    poisoned = [
        np.where(keep[:, None], z, np.float32(bad)) for z, bad in [(x, np.nan), (y, np.inf)]
    ]
    got = FITS[name](*poisoned, keep)
    alone = FITS[name](x[keep], y[keep])
    # The sign of a canonical pair is free, so predictions are compared.
    assert_close(APPLIES[name](got, x), APPLIES[name](alone, x))


@pytest.mark.parametrize("name", SOLVED)
def test_solving_from_streamed_moments_equals_fitting(name):
    x, y = data(name)
    state = numerics.init_moments((14, y.shape[1]))
    for rows in np.split(np.arange(40), 4):
        state = numerics.update_moments(state, (x[rows], y[rows]))
    solved = jax.jit(MEMBERS[name].solve)(state)
    assert_close(APPLIES[name](solved, x), APPLIES[name](FITS[name](x, y), x))


@each_member
def test_fits_map_over_folds(name):
    x, y = data(name)
    folds = np.arange(40) % 3 != np.arange(3)[:, None]
    t, fit = MEMBERS[name], fit_of(name)
    together = jax.jit(jax.vmap(lambda keep: t.apply(fit(x, y, keep), x)))(folds)
    for fold, got in zip(folds, together, strict=True):
        assert_close(got, APPLIES[name](FITS[name](x, y, fold), x))


@each_member
@pytest.mark.parametrize("case", ["constant", "fewer rows", "repeated", "one row", "nothing kept"])
def test_degenerate_data_are_finite(name, case, strict):
    x, y = data(name)
    keep = np.ones(40, bool)
    if case == "constant":
        x[:], y[:, 1:] = 3, 0
    elif case == "fewer rows":
        keep[5:] = False
    elif case == "repeated":
        x[:, 1:], y[:, 1:] = x[:, :1], 1e6 * y[:, :1]
    elif case == "one row":
        keep[1:] = False
    else:
        keep[:] = False
    params = FITS[name](x, y, keep)
    leaves = [*jax.tree.leaves(params), APPLIES[name](params, x)]
    assert all(np.isfinite(leaf).all() for leaf in leaves)


@pytest.mark.parametrize("factory", [lambda: ridge(l2=0.0), lambda: cca(dim=2, l2=0.0)])
def test_no_penalty_at_all_is_finite(factory, strict):
    t = factory()
    rng = np.random.default_rng(1)
    # Rank 5 of 60 columns, far from the origin.
    x = 10 + rng.normal(size=(80, 5)) @ rng.normal(size=(5, 60)) * np.logspace(-3, 3, 60)
    x = x.astype(np.float32)
    params = jax.jit(t.fit)(x, x[:, -20:])
    assert np.isfinite(jax.jit(t.apply)(params, x)).all()


@each_member
def test_leading_axes_are_free(name):
    x, y = data(name)
    params = FITS[name](x, y)
    whole = APPLIES[name](params, x)
    np.testing.assert_allclose(APPLIES[name](params, x[3]), whole[3], rtol=1e-4, atol=1e-5)
    shaped = APPLIES[name](params, x.reshape(4, 10, 14))
    np.testing.assert_allclose(shaped.reshape(40, -1), whole, rtol=1e-4, atol=1e-5)


@each_member
def test_low_precision_is_fitted_in_float32(name):
    x, y = data(name)
    halves = [jnp.asarray(z, jnp.bfloat16) for z in (x, y)]
    params = FITS[name](*halves)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    rounded = FITS[name](*[h.astype(jnp.float32) for h in halves])
    assert_close(APPLIES[name](params, halves[0]), APPLIES[name](rounded, halves[0]))


@each_member
def test_apply_has_finite_gradients_under_strict_numerics(name, strict):
    x, y = data(name)
    params = FITS[name](x, y)
    apply = MEMBERS[name].apply
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnp.square(apply(params, x)))))(x)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


@each_member
def test_two_fits_of_one_shape_compile_once(name):
    x, y = data(name, n=41)
    before = FITS[name]._cache_size()
    FITS[name](x, y)
    FITS[name](x + 1, y)
    assert FITS[name]._cache_size() == before + 1


@each_member
def test_bad_shapes_are_named(name, no_jaxtyping):
    x, y = data(name)
    t = MEMBERS[name]
    params = FITS[name](x, y)
    expected = r"must be \[\*batch, 14\] as fitted, got (x|xs\[0\]).shape=\(40, 13\)"
    with pytest.raises(ValueError, match=expected):
        t.apply(params, x[:, 1:])
    with pytest.raises(ValueError, match="`where` must have shape"):
        t.fit(x, y, np.ones(39, bool))
    if t.inverse is not None:
        with pytest.raises(ValueError, match="as fitted"):
            t.inverse(params, np.zeros((3, 77)))


@pytest.mark.parametrize("name", PREDICTS)
def test_predictions_have_the_covariance_of_the_residuals(name, x64):
    x, y = (z.astype(np.float64) for z in data(name))
    keep = np.arange(40) % 4 != 1
    t = MEMBERS[name]
    params = jax.jit(t.fit)(x, y, keep)
    got = predictive(t, params, x)
    errors = (y - np.asarray(t.apply(params, x)))[keep]
    np.testing.assert_array_equal(got.mean, t.apply(params, x))
    np.testing.assert_allclose(got.covariance, np.cov(errors.T, ddof=0), rtol=1e-9, atol=1e-12)


def test_predictive_needs_a_residual():
    t = pca(dim=1)
    with pytest.raises(ValueError, match="covariance of the residual, got PCA"):
        predictive(t, t.fit(data()[0]), data()[0])


@pytest.mark.parametrize("name", PAIRED)
def test_pairs_are_checked(name, no_jaxtyping):
    x, y = data(name)
    with pytest.raises(ValueError, match=rf"{name}: .*x.shape=\(40, 14\), y.shape=\(39, 4\)"):
        MEMBERS[name].fit(x, y[1:])
    with pytest.raises(ValueError, match=f"{name}: `fit` must have both sides"):
        MEMBERS[name].fit(x)
    if name in SOLVED:
        with pytest.raises(ValueError, match=f"{name}: `solve` needs joint moments of 2 modal"):
            MEMBERS[name].solve(numerics.moments([x]))


@pytest.mark.parametrize("name", UNPAIRED)
def test_clouds_need_no_pairs(name, no_jaxtyping):
    x, y = data(name)
    rng = np.random.default_rng(0)
    t, order, keep = MEMBERS[name], rng.permutation(40)[:31], rng.random(31) < 0.7
    # The order of the rows does not matter, and each side has a mask of its own.
    fit = jax.jit(t.fit)
    got = fit(x, y[order], None, keep)
    alone = fit(x, y[np.sort(order[keep])])
    assert_close(APPLIES[name](got, x), APPLIES[name](alone, x))
    with pytest.raises(ValueError, match=f"{name}: `fit` must have both clouds"):
        t.fit(x)
    with pytest.raises(ValueError, match="`where` must have shape"):
        t.fit(x, y, None, keep)
    if name in SAME_WIDTH:
        with pytest.raises(ValueError, match=rf"{name}: .*one width.*y.shape=\(40, 3\)"):
            t.fit(x, y[:, :3])
