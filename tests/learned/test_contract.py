"""What every learned transform promises, one table over all members."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax.learned import FACTORIES
from crossmodal_jax.transforms import predictive

TINY = {"hidden": 8, "num_steps": 30, "batch_size": 16, "tx": optax.adam(1e-2)}
OPTIONS = {"coupling_flow": {"num_layers": 2}, "deep_cca": {"dim": 2}}
MEMBERS = {name: make(**TINY | OPTIONS.get(name, {})) for name, make in FACTORIES.items()}
FITS = {name: jax.jit(t.fit) for name, t in MEMBERS.items()}
APPLIES = {name: jax.jit(t.apply) for name, t in MEMBERS.items()}
ALL = np.ones(40, bool)
# The two that take longest to compile go through the laws at night.
each_member = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("flow_matching", "variational")))
        for name in MEMBERS
    ],
)


def data(n=40, d=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)) * np.linspace(2, 0.5, d)
    y = np.sin(x @ rng.normal(size=(d, d))) + 0.1 * rng.normal(size=(n, d))
    return (1 + x).astype(np.float32), (100 * y - 1).astype(np.float32)


def assert_close(a, b, tolerance=2e-3):
    # Predictions of size 100, in float32 through a few steps of Adam.
    for got, expected in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=tolerance)


@each_member
def test_training_lowers_the_loss(name):
    x, y = data()
    params = FITS[name](x, y, ALL)
    losses = jax.tree.leaves([getattr(p, "losses", ()) for p in (params, *params)])[0]
    assert losses.shape == (30,)
    # Five batches of 16 go through the 40 rows twice.
    first, last = np.mean(losses[:5]), np.mean(losses[-5:])
    # The loss of `deep_cca` is negative.
    assert last < first - 0.03 * np.abs(first)


@each_member
def test_dropped_rows_equal_deleted_rows(name):
    x, y = data()
    keep = np.arange(40) % 4 != 1
    poisoned = [
        np.where(keep[:, None], z, np.float32(bad)) for z, bad in [(x, np.nan), (y, np.inf)]
    ]
    got, alone = FITS[name](*poisoned, keep), FITS[name](x[keep], y[keep], ALL[keep])
    assert_close(APPLIES[name](got, x), APPLIES[name](alone, x))


@pytest.mark.slow
@each_member
def test_fits_map_over_folds_and_seeds(name):
    x, y = data()
    folds = np.arange(40) % 3 != np.arange(3)[:, None]

    def fitted(keep, seed):
        t = FACTORIES[name](**TINY | OPTIONS.get(name, {}) | {"seed": seed})
        return t.apply(t.fit(x, y, keep), x)

    together = jax.jit(jax.vmap(fitted))(folds, jnp.arange(3))
    assert_close(together[0], APPLIES[name](FITS[name](x, y, folds[0]), x))
    assert np.abs(together[0] - together[1]).max() > 1


@each_member
@pytest.mark.parametrize("case", ["constant", "repeated", "one row", "nothing kept"])
def test_degenerate_data_are_finite(name, case):
    x, y = data()
    keep = ALL.copy()
    if case == "constant":
        x[:], y[:, 1:] = 3.1, 0
    elif case == "repeated":
        x[:, 1:], y[:, 1:] = x[:, :1], 1e6 * y[:, :1]
    elif case == "one row":
        keep[1:] = False
    else:
        keep[:] = False
    params = FITS[name](x, y, keep)
    leaves = [*jax.tree.leaves(params), APPLIES[name](params, x)]
    assert all(np.isfinite(leaf).all() for leaf in leaves)


@each_member
def test_leading_axes_are_free(name):
    x, y = data()
    params = FITS[name](x, y, ALL)
    whole = APPLIES[name](params, x)
    shaped = APPLIES[name](params, x.reshape(4, 10, 4))
    np.testing.assert_allclose(shaped.reshape(40, -1), whole, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(APPLIES[name](params, x[3]), whole[3], rtol=1e-4, atol=1e-3)


@each_member
@pytest.mark.parametrize(("given", "kept"), [("bfloat16", "float32"), ("float64", "float64")])
def test_dtype_of_parameters_and_predictions(name, given, kept, x64):
    x, y = (jnp.asarray(z, given) for z in data())
    t = MEMBERS[name]
    params = jax.eval_shape(t.fit, x, y)
    prediction = jax.eval_shape(t.apply, params, x)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((params, prediction))}
    assert dtypes == {jnp.dtype(kept)}


@each_member
def test_apply_has_finite_gradients_under_strict_numerics(name, request):
    x, y = data()
    params = FITS[name](x, y, ALL)
    request.getfixturevalue("strict")
    jax.eval_shape(MEMBERS[name].fit, x, y)  # also the optimiser, which relies on promotion
    apply = MEMBERS[name].apply
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnp.square(apply(params, x)))))(x)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


@each_member
def test_two_fits_of_one_shape_compile_once(name):
    x, y = data()
    params = FITS[name](x, y, ALL)
    before = FITS[name]._cache_size(), APPLIES[name]._cache_size()
    APPLIES[name](params, x)
    APPLIES[name](FITS[name](x + 1, y, ALL), x)
    assert FITS[name]._cache_size() == before[0]
    assert APPLIES[name]._cache_size() <= before[1] + 1


@each_member
def test_predictions_have_the_covariance_of_the_residuals(name):
    x, y = data()
    keep = np.arange(40) % 4 != 1
    params = FITS[name](x, y, keep)
    got = predictive(MEMBERS[name], params, x)
    errors = (y - np.asarray(got.mean))[keep]
    np.testing.assert_allclose(got.covariance, np.cov(errors.T, ddof=0), rtol=1e-4, atol=0.1)


@each_member
def test_bad_shapes_and_options_are_named(name, no_jaxtyping):
    x, y = data()
    t = MEMBERS[name]
    params = FITS[name](x, y, ALL)
    with pytest.raises(
        ValueError, match=rf"{name}: .* \[\*batch, 4\] as fitted, got x.shape=\(40, 3\)"
    ):
        t.apply(params, x[:, 1:])
    with pytest.raises(ValueError, match="`where` must have shape"):
        t.fit(x, y, np.ones(39, bool))
    with pytest.raises(ValueError, match=rf"{name}: .*x.shape=\(40, 4\), y.shape=\(39, 4\)"):
        t.fit(x, y[1:])
    with pytest.raises(ValueError, match=f"{name}: `fit` must have both sides"):
        t.fit(x)
    with pytest.raises(ValueError, match=rf"{name}: .*num_steps=-1 and batch_size=\d+"):
        FACTORIES[name](num_steps=-1)
    if t.inverse is not None:
        with pytest.raises(ValueError, match=rf"{name}: `y` must be .* as fitted"):
            t.inverse(params, np.zeros((3, 77)))
