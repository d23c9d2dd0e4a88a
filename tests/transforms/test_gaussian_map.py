import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from crossmodal_jax import numerics
from crossmodal_jax.transforms import bures_distance, gaussian_map

S_X = np.array([[2.0, 0.5], [0.5, 1.0]])
S_Y = np.array([[1.0, -0.2], [-0.2, 0.5]])


def cloud(covariance, n, seed=0):
    """Rows with exactly this covariance."""
    z = np.random.default_rng(seed).normal(size=(n, len(covariance)))
    z = z - z.mean(0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T, ddof=0))).T
    return z @ np.linalg.cholesky(covariance).T


def spd(d, seed=0):
    w = np.random.default_rng(seed).normal(size=(d, d + 2))
    return w @ w.T / d


def scipy_map(s_x, s_y):
    root = scipy.linalg.sqrtm(s_x)
    inverse = np.linalg.inv(root)
    return inverse @ scipy.linalg.sqrtm(root @ s_y @ root) @ inverse


def test_analytic_values(x64):
    params = gaussian_map(l2=0.0).fit(cloud(S_X, 20), cloud(S_Y, 31, seed=1))
    expected = [[0.747575, -0.225527], [-0.225527, 0.753849]]
    np.testing.assert_allclose(params.kernel, expected, atol=5e-7)
    zero = np.zeros(2)
    np.testing.assert_allclose(bures_distance(zero, S_X, zero, S_Y), 0.453058, atol=5e-7)


@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_map_is_that_of_scipy_and_pushes_gaussian_to_gaussian(l2, x64):
    x, y = 3 + cloud(spd(5), 40), cloud(spd(5, seed=1), 23, seed=2) - 1
    t = gaussian_map(l2=l2)
    params = jax.jit(t.fit)(x, y)
    s_x, s_y = (s + l2 * np.trace(s) / 5 * np.eye(5) for s in (spd(5), spd(5, seed=1)))
    np.testing.assert_allclose(params.kernel, scipy_map(s_x, s_y), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(params.kernel @ s_x @ params.kernel, s_y, rtol=1e-9, atol=1e-9)
    moved = np.asarray(t.apply(params, x))
    np.testing.assert_allclose(moved.mean(0), y.mean(0), atol=1e-10)
    if l2 == 0:
        np.testing.assert_allclose(np.cov(moved.T, ddof=0), np.cov(y.T, ddof=0), atol=1e-9)
        # It moves the rows by the distance.
        distance = bures_distance(x.mean(0), s_x, y.mean(0), s_y)
        np.testing.assert_allclose(np.square(x - moved).sum(1).mean(), distance, rtol=1e-9)
    np.testing.assert_allclose(t.inverse(params, moved), x, atol=1e-9)


def test_solving_from_moments_of_each_cloud_equals_fitting(x64):
    x, y = cloud(spd(4), 30), 2 + cloud(spd(4, seed=1), 17)
    t = gaussian_map()
    fitted = t.fit(x, y)
    parts = numerics.merge_moments(numerics.moments([x[:11]]), numerics.moments([x[11:]]))
    solved = t.solve(parts, numerics.moments([y]))
    for got, expected in zip(jax.tree.leaves(solved), jax.tree.leaves(fitted), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    swapped = t.fit(y, x)
    np.testing.assert_allclose(swapped.kernel, fitted.inverse_kernel, atol=1e-12)


def test_equal_clouds_stay_where_they_are(x64):
    x = cloud(spd(4), 30)
    t = gaussian_map(l2=0.0)
    np.testing.assert_allclose(t.apply(t.fit(x, x), x), x, atol=1e-9)
    np.testing.assert_allclose(bures_distance(x[0], spd(4), x[0], spd(4)), 0, atol=1e-9)


def test_distance_in_one_dimension_and_between_commuting_covariances(x64):
    one = [np.array([1.0]), np.array([[4.0]]), np.array([3.0]), np.array([[9.0]])]
    np.testing.assert_allclose(bures_distance(*one), 4 + 1, rtol=1e-12)
    p, q = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.0, 5.0])
    zero = np.zeros(3)
    got = bures_distance(zero, np.diag(p), zero, np.diag(q))
    np.testing.assert_allclose(got, np.square(np.sqrt(p) - np.sqrt(q)).sum(), rtol=1e-9)


def test_gradient_of_the_distance_is_identity_minus_map(x64):
    s_x, s_y, zero = spd(4), spd(4, seed=1), np.zeros(4)
    gradient = jax.jit(jax.grad(bures_distance, argnums=1))(zero, s_x, zero, s_y)
    np.testing.assert_allclose(gradient, np.eye(4) - scipy_map(s_x, s_y), rtol=1e-8, atol=1e-8)
    # Of one point each, and of equal covariances with one eigenvalue.
    for s in (np.zeros((4, 4)), np.eye(4)):
        gradients = jax.jit(jax.grad(bures_distance, argnums=(1, 3)))(zero, s, zero, s)
        assert np.isfinite(gradients).all()


def test_fit_has_gradients(x64):
    x, y = cloud(np.eye(3), 12), 1 + cloud(spd(3), 9)
    t = gaussian_map(l2=0.1)

    def loss(x, y):
        return jnp.sum(jnp.sin(t.apply(t.fit(x, y), x)))

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))(x, y)
    value = jax.jit(loss)
    for i, gradient in enumerate(gradients):
        direction = np.random.default_rng(i).normal(size=gradient.shape)
        step = [1e-5 * direction if i == j else 0.0 for j in range(2)]
        up, down = value(x + step[0], y + step[1]), value(x - step[0], y - step[1])
        np.testing.assert_allclose(np.sum(gradient * direction), (up - down) / 2e-5, rtol=1e-6)


def test_bad_arguments_are_named(no_jaxtyping):
    x, y = cloud(S_X, 9), cloud(spd(3), 9)
    t = gaussian_map()
    with pytest.raises(ValueError, match="needs joint moments of 2"):
        t.solve(numerics.moments([x]))
    with pytest.raises(ValueError, match="one width, got dx=2 and dy=3"):
        t.solve(numerics.moments([x]), numerics.moments([y]))
