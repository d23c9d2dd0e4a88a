"""The deep CCA loss: an SVD oracle, both sizes of solve, float32 gradients, degenerate batches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.test_util import check_grads

from crossmodal_jax.losses import cca_loss
from crossmodal_jax.transforms import cca

OBJECTIVES = ["squared", "sum"]


@functools.cache
def gradient(objective="squared"):
    """Value and gradient by both sides, compiled once for each shape."""
    loss = functools.partial(cca_loss, objective=objective)
    return jax.jit(jax.value_and_grad(lambda x, y, l2: loss(x, y, l2=l2), argnums=(0, 1)))


def data(n=64, dx=50, dy=50, seed=0):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 10))
    return tuple(
        latent @ rng.normal(size=(10, d)) / 10**0.5 + rng.normal(size=(n, d)) for d in (dx, dy)
    )


def correlations(x, y, l2, ddof=0):
    """Singular values by symmetric roots of matrices, not Cholesky factors."""
    x, y = x - x.mean(0), y - y.mean(0)
    roots = []
    for z in (x, y):
        s = z.T @ z / (len(z) - ddof)
        s = s + l2 * np.trace(s) / len(s) * np.eye(len(s))
        roots.append(np.linalg.inv(np.real(scipy.linalg.sqrtm(s))))
    cross = x.T @ y / (len(x) - ddof)
    return np.linalg.svd(roots[0] @ cross @ roots[1], compute_uv=False)


@pytest.mark.slow
@pytest.mark.parametrize("ddof", [0, 1])  # the divisor of the covariances has no influence
@pytest.mark.parametrize("shape", [(30, 6, 4), (5, 6, 4), (5, 6, 8)])
def test_equals_the_singular_values(shape, ddof, x64):
    x, y = data(*shape)
    values = correlations(x, y, 0.02, ddof)
    for objective, expected in (("squared", np.sum(values**2)), ("sum", np.sum(values))):
        got = gradient(objective)(x, y, 0.02)[0]
        np.testing.assert_allclose(got, -expected, rtol=1e-10)


def test_equals_the_correlations_of_the_transform(x64):
    x, y = data(30, 6, 4)
    rho = jax.jit(cca(dim=4, l2=0.1).fit)(x, y).correlations
    for objective, expected in (("squared", np.sum(np.square(rho))), ("sum", np.sum(rho))):
        np.testing.assert_allclose(gradient(objective)(x, y, 0.1)[0], -expected, rtol=1e-10)


@pytest.mark.parametrize("l2", [1e-3, 1e-1])
def test_dual_equals_primal(l2, x64):
    # Dropped rows lead to another size of solve; the rows that are kept are the same.
    x, y = data(10, 50, 50)
    padded = [np.vstack([z, np.zeros((50, 50))]) for z in (x, y)]
    keep = np.arange(60) < 10
    primal = jax.jit(
        jax.value_and_grad(lambda x, y: cca_loss(x, y, l2=l2, where=keep), argnums=(0, 1))
    )(*padded)
    dual = gradient()(x, y, l2)
    np.testing.assert_allclose(dual[0], primal[0], rtol=1e-8)
    for got, expected in zip(dual[1], primal[1], strict=True):
        # The primal form loses 1/l2² of its digits here.
        np.testing.assert_allclose(got, expected[:10], rtol=1e-8, atol=1e-8 * np.abs(got).max())


def relative_error(x, y, l2, objective="squared"):
    with jax.enable_x64(True):
        expected = np.hstack(gradient(objective)(x, y, l2)[1])
    x, y = np.float32(x), np.float32(y)
    got = np.hstack(gradient(objective)(x, y, np.float32(l2))[1]).astype(np.float64)
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("n", "l2", "bound"),
    [
        (10, 1e-5, 1e-5),
        (10, 1e-3, 1e-5),
        (10, 1e-1, 1e-5),
        (64, 1e-3, 5e-5),
        (64, 1e-1, 1e-5),
        (500, 1e-5, 5e-6),
        (500, 1e-1, 5e-6),
    ],
)
def test_float32_gradient_is_that_of_float64(n, l2, bound):
    errors = [relative_error(*data(n, seed=seed), l2) for seed in range(8)]
    assert np.median(errors) < bound


@pytest.mark.parametrize(("objective", "bound"), [("squared", 5e-5), ("sum", 1e-4)])
def test_float32_gradient_with_dead_units_is_that_of_float64(objective, bound):
    errors = []
    for seed in range(8):
        x, y = data(64, seed=seed)
        x[:, :5], y[:, 3] = 0, 1.7
        errors.append(relative_error(x, y, 1e-3, objective))
    # A correlation of 0 has no direction: without a threshold the error of the sum is above 1.
    assert np.median(errors) < bound


def degenerate(case, x, y):
    x, y, n = x.copy(), y.copy(), len(x)
    if case == "dead":
        x[:, :30], y[:, 7] = 0, 3.3
    elif case == "constant":
        x[:] = 5.7
    elif case == "repeated rows":
        x, y = np.repeat(x[:1], n, axis=0), np.tile(y[:2], (n, 1))[:n]
    elif case == "repeated columns":
        x[:, 1:] = x[:, :1]
    else:
        y = x  # every correlation is the same
    return x, y


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("n", [10, 64])
@pytest.mark.parametrize("case", ["dead", "constant", "repeated rows", "repeated columns", "equal"])
def test_degenerate_batches_are_finite(objective, n, case):
    x, y = degenerate(case, *(np.float32(z) for z in data(n)))
    for l2 in (0.0, 1e-3):
        value, slopes = gradient(objective)(x, y, np.float32(l2))
        # Without variance the two sides of the difference round to 1e-7 each.
        assert -50.5 < value <= 1e-5
        assert all(np.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_repeated_correlations_have_the_right_gradient(objective, x64):
    # Two pairs of columns, each rotated by the same angle: the correlations are .6, .6.
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 5)))[0]
    q = np.linalg.qr(q - q.mean(0))[0]
    x, y = q[:, :2], 0.6 * q[:, :2] + 0.8 * q[:, 2:4]
    value, slopes = gradient(objective)(x, y, 0.0)
    np.testing.assert_allclose(value, -0.72 if objective == "squared" else -1.2, rtol=1e-8)
    assert all(np.isfinite(slope).all() for slope in slopes)
    # Against differences of the value along the gradient, which is smooth here.
    step = [1e-5 * slope / np.linalg.norm(slope) for slope in gradient(objective)(x, y, 0.01)[1]]
    ahead, behind = (
        gradient(objective)(x + s * step[0], y + s * step[1], 0.01) for s in (1.0, -1.0)
    )
    slopes = gradient(objective)(x, y, 0.01)[1]
    expected = sum(np.sum(g * d) for g, d in zip(slopes, step, strict=True))
    np.testing.assert_allclose((ahead[0] - behind[0]) / 2, expected, rtol=1e-6)


@pytest.mark.parametrize(("objective", "n"), [("squared", 7), ("sum", 20)])
def test_gradients_by_the_other_arguments_are_those_of_finite_differences(objective, n, x64):
    x, y = data(n, 10, 5)
    loss = jax.jit(lambda y, l2: cca_loss(x, y, l2=l2, objective=objective))
    check_grads(loss, (y, 0.1), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("n", [10, 64])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scale_shift_and_unitary_maps_change_nothing(objective, n):
    x, y = (np.float32(z) for z in data(n))
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 50)))[0].astype(np.float32)
    expected = gradient(objective)(x, y, 0.1)[0]
    for moved in (x * 1e4, x * 1e-4, x + 30, x @ rotation):
        np.testing.assert_allclose(gradient(objective)(moved, y, 0.1)[0], expected, rtol=1e-4)
    np.testing.assert_allclose(gradient(objective)(y, x, 0.1)[0], expected, rtol=1e-5)


def test_an_embedding_and_its_linear_map_correlate_perfectly(x64):
    x, _ = data(30, 6, 4)
    y = x @ np.random.default_rng(1).normal(size=(6, 4)) + 3
    for objective in OBJECTIVES:
        np.testing.assert_allclose(gradient(objective)(x, y, 0.0)[0], -4, rtol=1e-8)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_descent_finds_the_planted_direction(objective):
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(200, 1))
    x, y = rng.normal(size=(2, 200, 4)).astype(np.float32)
    x[:, 2:3] = 0.5 * x[:, 2:3] + latent
    y[:, 1:2] = 0.5 * y[:, 1:2] + latent

    @jax.jit
    def train(w):
        loss = lambda w: cca_loss(x @ w[0], y @ w[1], objective=objective)
        step = lambda _, w: jax.tree.map(lambda p, g: p - 0.5 * g, w, jax.grad(loss)(w))
        return jax.lax.fori_loop(0, 100, step, w)

    w = np.abs(train([jnp.ones((4, 1)), jnp.ones((4, 1))]))
    assert w[0].ravel().argmax() == 2
    assert w[1].ravel().argmax() == 1
    np.testing.assert_array_less(np.sort(w, axis=1)[:, -2], 0.35 * w.max(axis=1))


def test_penalty_is_relative_and_maps(x64):
    x, y = data(30, 6, 4)
    l2s = np.array([1e-3, 1e-1, 10.0])
    got = jax.jit(jax.vmap(lambda l2: cca_loss(x, y, l2=l2)))(l2s)
    expected = [-np.sum(correlations(x, y, l2) ** 2) for l2 in l2s]
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_bad_objective_is_named():
    x = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"cca_loss: `objective` must be .* mean 'squared'"):
        cca_loss(x, x, objective="square")
