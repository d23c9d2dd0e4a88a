import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.kernel_ridge
from jax.test_util import check_grads

from crossmodal_jax.transforms import (
    kernel_ridge,
    linear_kernel,
    polynomial_kernel,
    predictive,
    rbf_kernel,
    ridge,
)

KERNELS = {
    "rbf": rbf_kernel(gamma=0.7),
    "polynomial": polynomial_kernel(degree=3, offset=0.5),
    "linear": linear_kernel(),
}
each_kernel = pytest.mark.parametrize("name", KERNELS)


def data(n=30, dx=5, dy=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    x = 4 + rng.normal(size=(n, dx)) * np.linspace(3, 1, dx)
    y = np.sin(x[:, :dy]) + 0.1 * rng.normal(size=(n, dy)) - 2
    return x.astype(dtype), y.astype(dtype)


def gram(name, u, v):
    """The kernels by their formulas, from one pair of rows to the next."""
    inner = np.array([[a @ b for b in v] for a in u]) / u.shape[1]
    squares = np.array([[np.sum((a - b) ** 2) for b in v] for a in u]) / u.shape[1]
    return {"rbf": np.exp(-0.7 * squares), "polynomial": (inner + 0.5) ** 3, "linear": inner}[name]


def oracle(name, x, y, queries, penalty, mean, scale):
    """Predictions with an unpenalised mean, by scikit-learn on kernel matrices centred by hand."""
    u, v = (x - mean) / scale, (queries - mean) / scale
    k, rows = gram(name, u, u), gram(name, v, u)
    centring = np.eye(len(x)) - 1 / len(x)
    model = sklearn.kernel_ridge.KernelRidge(alpha=penalty, kernel="precomputed")
    model.fit(centring @ k @ centring, y - y.mean(0))
    return model.predict((rows - k.mean(0)) @ centring) + y.mean(0)


def statistics(name, x, l2):
    """Mean, scale and penalty of a fit on all rows x."""
    mean, scale = x.mean(0), np.sqrt(x.var(0).mean())
    u = (x - mean) / scale
    centring = np.eye(len(x)) - 1 / len(x)
    return mean, scale, l2 * np.trace(centring @ gram(name, u, u) @ centring)


@each_kernel
@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
def test_predictions_match_scikit_learn(name, l2, x64):
    x, y = data()
    t = kernel_ridge(kernel=KERNELS[name], l2=l2)
    params = jax.jit(t.fit)(x[:20], y[:20])
    mean, scale, penalty = statistics(name, x[:20], l2)
    expected = oracle(name, x[:20], y[:20], x, penalty, mean, scale)
    np.testing.assert_allclose(t.apply(params, x), expected, rtol=1e-8, atol=1e-8)


@each_kernel
@pytest.mark.parametrize("l2", [1e-6, 1e-2, 1.0])
def test_leave_one_out_is_a_fit_of_the_others(name, l2, x64):
    x, y = data(n=14)
    t = kernel_ridge(kernel=KERNELS[name], l2=l2)
    params = jax.jit(t.fit)(x, y)
    mean, scale, penalty = statistics(name, x, l2)
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        expected = oracle(name, x[others], y[others], x[i : i + 1], penalty, mean, scale)
        np.testing.assert_allclose(params.leave_one_out[i], expected[0], rtol=1e-8, atol=1e-8)
    errors = y - params.leave_one_out
    got = predictive(t, params, x[0]).covariance
    np.testing.assert_allclose(got, errors.T @ errors / len(x), rtol=1e-10)


def test_linear_kernel_is_ridge(x64):
    x, y = data()
    t, regression = kernel_ridge(kernel=linear_kernel(), l2=0.02), ridge(l2=0.02 * x.shape[1])
    expected = regression.apply(regression.fit(x, y), x)
    np.testing.assert_allclose(t.apply(t.fit(x, y), x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_leave_one_out_in_float32_keeps_its_digits():
    x, y = data(n=60, dtype=np.float32)
    got = jax.jit(kernel_ridge(l2=1e-3).fit)(x, y).leave_one_out
    with jax.enable_x64(True):
        exact = kernel_ridge(l2=1e-3).fit(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(got, exact.leave_one_out, rtol=2e-4, atol=2e-4)


def test_no_penalty_interpolates(x64):
    x, y = data()
    t = kernel_ridge(l2=0.0)
    np.testing.assert_allclose(t.apply(t.fit(x, y), x), y, atol=1e-6)


def test_infinite_penalty_predicts_the_mean(x64):
    x, y = data()
    t = kernel_ridge(l2=1e12)
    got = t.apply(t.fit(x, y), x)
    np.testing.assert_allclose(got, np.broadcast_to(y.mean(0), y.shape), atol=1e-8)


def test_unit_of_x_does_not_matter(x64):
    x, y = data()
    t = kernel_ridge()
    expected = t.apply(t.fit(x, y), x)
    np.testing.assert_allclose(t.apply(t.fit(1e3 * x - 7, y), 1e3 * x - 7), expected, rtol=1e-8)


def test_gradients_are_those_of_finite_differences(x64):
    x, y = data(n=9)
    keep = np.arange(9) != 4

    def predictions(x, y, gamma, l2):
        t = kernel_ridge(kernel=rbf_kernel(gamma=gamma), l2=l2)
        params = t.fit(x, y, keep)
        return t.apply(params, x[:3]), params.leave_one_out

    check_grads(jax.jit(predictions), (x, y, 0.7, 1e-2), order=1, eps=1e-5, rtol=1e-6)


@pytest.mark.slow
def test_penalties_and_widths_map():
    x, y = data(dtype=np.float32)

    def error(gamma, l2):
        params = kernel_ridge(kernel=rbf_kernel(gamma=gamma), l2=l2).fit(x, y)
        return jnp.trace(params.residual)

    grid = jax.jit(jax.vmap(jax.vmap(error, (None, 0)), (0, None)))
    gammas, l2s = jnp.array([0.1, 1.0]), jnp.array([1e-3, 1e-1, 1.0])
    got = grid(gammas, l2s)
    expected = [[error(g, l) for l in l2s] for g in gammas]
    np.testing.assert_allclose(got, expected, rtol=1e-3)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="polynomial_kernel: `degree` must be at least 1, got 0"):
        polynomial_kernel(degree=0)
