import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax.fusion import OPERATORS
from crossmodal_jax.learned import compose, mlp
from crossmodal_jax.transforms import predictive, ridge

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

MODES = ["closed_form", "stagewise", "joint"]


def products(n=400, dtype=np.float32):
    rng = np.random.default_rng(0)
    x1, x2 = rng.normal(size=(2, n, 3))
    y = x1 * x2[:, ::-1] * [1, 10, 100] + [5, 0, -5]
    return [(2 * x1 + 1).astype(dtype), (x2 - 3).astype(dtype)], y.astype(dtype)


def r_squared(y, prediction):
    return 1 - np.mean(np.square((y - prediction) / y.std(0)))


def head(xs, y, rows):
    return [x[rows] for x in xs], y[rows]


@pytest.mark.parametrize(
    ("train", "least", "most"),
    [
        ("closed_form", 0.1, 0.9),
        ("stagewise", 0.95, 1.01),
        ("joint", 0.95, 1.01),
    ],
)
def test_products_are_learned_by_training_the_fusion(train, least, most):
    xs, y = products()
    rows, held = slice(300), slice(300, None)
    t = compose(OPERATORS["low_rank"], ridge(l2=1e-3), dim=6, train=train, num_steps=500)
    params = jax.jit(t.fit)(*head(xs, y, rows))
    tested, truth = head(xs, y, held)
    assert least < r_squared(truth, t.apply(params, tested)) < most


def test_closed_form_of_a_concatenation_is_ridge(x64):
    xs, y = products(50, np.float64)
    present = np.random.default_rng(1).random((50, 2)) < 0.7
    keep = np.arange(50) % 5 != 0
    t = compose(OPERATORS["concat"], ridge(l2=0.1), dim=1, train="closed_form")
    poisoned = [np.where((present[:, m] & keep)[:, None], x, np.nan) for m, x in enumerate(xs)]
    params = jax.jit(t.fit)(poisoned, y, keep, present=present)
    columns = []
    for m, x in enumerate(xs):
        seen = x[present[:, m] & keep]
        columns.append((x - seen.mean(0)) / seen.std(0) * present[:, m, None])
    z = np.hstack([*columns, present])
    centre, target = z[keep].mean(0), y[keep].mean(0)
    a, b = z[keep] - centre, y[keep] - target
    s = a.T @ a / keep.sum()
    kernel = np.linalg.solve(s + 0.1 * np.trace(s) / 8 * np.eye(8), a.T @ b / keep.sum())
    expected = target + (z - centre) @ kernel
    shown = [np.where(present[:, m, None], x, np.nan) for m, x in enumerate(xs)]
    np.testing.assert_allclose(t.apply(params, shown, present=present), expected, rtol=1e-8)
    errors = (y - expected)[keep]
    np.testing.assert_allclose(params.residual, np.cov(errors.T, ddof=0), rtol=1e-8)


def test_all_modes_start_from_the_closed_form():
    xs, y = products(60)
    fits = [compose(OPERATORS["gated"], ridge(), dim=4, train=m, num_steps=0) for m in MODES]
    first, *others = [np.asarray(t.apply(jax.jit(t.fit)(xs, y), xs)) for t in fits]
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-5, atol=1e-4)


def test_stagewise_ends_in_the_closed_form_and_joint_does_not():
    xs, y = products(60)

    def distance(train):
        t = compose(OPERATORS["low_rank"], ridge(), dim=4, train=train, num_steps=20)
        params = jax.jit(t.fit)(xs, y)
        z = [(x - s.mean) / s.std for x, s in zip(xs, params.scales, strict=True)]
        fused = jax.jit(OPERATORS["low_rank"].apply)(z, params.operator)
        refit = jax.jit(ridge().fit)(fused, (y - params.scale_y.mean) / params.scale_y.std)
        return np.abs(refit.kernel - params.transform.kernel).max()

    assert distance("stagewise") < 1e-4
    assert distance("joint") > 1e-3


@pytest.mark.parametrize("train", MODES)
def test_absent_payload_is_irrelevant_and_dropped_is_deleted(train):
    xs, y = products(40)
    present = np.random.default_rng(1).random((40, 2)) < 0.7
    keep = np.arange(40) % 4 != 1
    options = {"num_steps": 20, "batch_size": 16, "tx": optax.adam(1e-2)}
    t = compose(OPERATORS["gated"], ridge(), dim=4, train=train, **options)
    fit, apply = jax.jit(t.fit), jax.jit(t.apply)
    poisoned = [np.where((present[:, m] & keep)[:, None], x, np.nan) for m, x in enumerate(xs)]
    got = fit(poisoned, np.where(keep[:, None], y, np.nan), keep, present=present)
    alone = fit([x[keep] for x in xs], y[keep], present=present[keep])
    shown = [np.where(present[:, m, None], x, np.nan) for m, x in enumerate(xs)]
    prediction = apply(got, shown, present=present)
    np.testing.assert_allclose(prediction, apply(alone, xs, present=present), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(
        got.residual, np.cov((y - prediction)[keep].T, ddof=0), rtol=1e-3, atol=0.1
    )

    def energy(xs):
        return jnp.sum(jnp.square(t.apply(got, xs, present=present)))

    gradient = jax.jit(jax.grad(energy))(shown)
    for m, g in enumerate(gradient):
        assert np.isfinite(g).all()
        assert not g[~present[:, m]].any()


def test_fits_map_over_folds_and_seeds():
    xs, y = products(40)
    folds = np.arange(40) % 3 != np.arange(3)[:, None]

    def fitted(keep, seed):
        options = {"num_steps": 10, "batch_size": 16, "seed": seed}
        t = compose(OPERATORS["gated"], ridge(), dim=4, **options)
        return t.apply(t.fit(xs, y, keep), xs)

    together = jax.jit(jax.vmap(fitted))(folds, jnp.arange(3))
    alone = jax.jit(fitted)(folds[1], 1)
    np.testing.assert_allclose(together[1], alone, rtol=1e-3, atol=1e-2)


def test_tokens_and_a_learned_transform():
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(30, t, 2)).astype(np.float32) for t in (3, 4)]
    y = (xs[0].mean(1) + xs[1].mean(1)).astype(np.float32)
    t = compose(
        OPERATORS["bilinear_attention"],
        mlp(hidden=8, num_steps=5),
        dim=4,
        num_steps=20,
        batch_size=30,
    )
    params = jax.jit(t.fit)(xs, y)
    assert params.losses[-1] < params.losses[0]
    assert jax.jit(t.apply)(params, [x[:3] for x in xs]).shape == (3, 2)


def test_predictive_takes_the_modalities():
    xs, y = products(40)
    t = compose(OPERATORS["mean"], ridge(), dim=3, train="closed_form")
    params = jax.jit(t.fit)(xs, y)
    got = predictive(t, params, xs)
    np.testing.assert_array_equal(got.mean, t.apply(params, xs))
    assert got.covariance.shape == (3, 3)


def test_bad_input_is_named(no_jaxtyping):
    xs, y = products(10)
    with pytest.raises(ValueError, match=r"compose: `train` must be one of .*did you mean 'joint'"):
        compose(OPERATORS["mean"], ridge(), dim=3, train="join")
    with pytest.raises(ValueError, match="must be a fusion\\.Operator, got str"):
        compose("mean", ridge(), dim=3)
    with pytest.raises(ValueError, match="num_steps=-1"):
        compose(OPERATORS["mean"], ridge(), dim=3, num_steps=-1)
    t = compose(OPERATORS["mean"], ridge(), dim=3, train="closed_form")
    with pytest.raises(ValueError, match="got only xs"):
        t.fit(xs)
    with pytest.raises(ValueError, match=r"same number of rows, got .* y.shape=\(9, 3\)"):
        t.fit(xs, y[1:])
    with pytest.raises(ValueError, match=r"widths \[3, 3\] as fitted, got \[3\]"):
        t.apply(t.fit(xs, y), xs[:1])
