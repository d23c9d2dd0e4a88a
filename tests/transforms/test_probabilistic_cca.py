import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from crossmodal_jax.transforms import cca, latent_posterior, predictive, probabilistic_cca

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow


def data(n=60, dx=5, dy=4):
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(n, 2))
    x = 2 + latent @ rng.normal(size=(2, dx)) + rng.normal(size=(n, dx))
    return x, latent @ rng.normal(size=(2, dy)) - 7 + rng.normal(size=(n, dy))


def fit(dim, l2=0.0):
    x, y = data()
    params = jax.jit(probabilistic_cca(dim=dim, l2=l2).fit)(x, y)
    return x, y, params


def model(params):
    """Mean and covariance of (x, y) under the model, and the loadings of both."""
    w = np.vstack(params.loadings)
    noise = np.zeros((len(w), len(w)))
    dx = len(params.means[0])
    noise[:dx, :dx], noise[dx:, dx:] = params.noises
    return np.hstack(params.means), w @ w.T + noise, w


def test_marginal_covariance_is_that_of_the_sample(x64):
    x, y, params = fit(4)
    mean, covariance, _ = model(params)
    both = np.hstack([x, y])
    np.testing.assert_allclose(mean, both.mean(0), atol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(both.T, ddof=0), rtol=1e-9, atol=1e-9)


def test_fewer_latents_keep_the_marginals_of_each_view(x64):
    x, y, params = fit(2, l2=0.1)
    s = model(params)[1]
    for side, block in ((x, s[:5, :5]), (y, s[5:, 5:])):
        sample = np.cov(side.T, ddof=0)
        expected = sample + 0.1 * np.trace(sample) / len(sample) * np.eye(len(sample))
        np.testing.assert_allclose(block, expected, rtol=1e-9)
    for noise in params.noises:
        assert np.linalg.eigvalsh(noise).min() > 0


def test_correlations_of_the_model_are_canonical(x64):
    x, y, params = fit(2)
    expected = jax.jit(cca(dim=2, l2=0.0).fit)(x, y).correlations
    np.testing.assert_allclose(params.correlations, expected, rtol=1e-12)
    s = model(params)[1]
    a, b = (np.linalg.cholesky(block) for block in (s[:5, :5], s[5:, 5:]))
    whitened = np.linalg.solve(a, np.linalg.solve(b, s[:5, 5:].T).T)
    got = np.linalg.svd(whitened, compute_uv=False)
    np.testing.assert_allclose(got, [*params.correlations, 0, 0], atol=1e-10)


def test_likelihood_is_largest(x64):
    x, y, params = fit(2)
    both = np.hstack([x, y])
    mean, s, _ = model(params)
    best = scipy.stats.multivariate_normal(mean, s).logpdf(both).sum()
    rng = np.random.default_rng(1)
    for _ in range(50):
        beside = [p + 1e-3 * rng.normal(size=p.shape) for p in params.loadings]
        noises = [p + 1e-3 * np.diag(rng.normal(size=len(p))) for p in params.noises]
        other = params._replace(loadings=beside, noises=noises)
        assert scipy.stats.multivariate_normal(mean, model(other)[1]).logpdf(both).sum() <= best


@pytest.mark.parametrize("given", ["x", "y", "xy", ""])
def test_posterior_is_the_conditional_gaussian(given, x64):
    x, y, params = fit(3)
    mean, s, w = model(params)
    rows = np.r_[np.arange(5) if "x" in given else [], 5 + np.arange(4) if "y" in given else []]
    rows = rows.astype(int)
    centred = (np.hstack([x, y]) - mean)[:, rows]
    gain = np.linalg.solve(s[np.ix_(rows, rows)], w[rows]) if given else np.zeros((0, 3))
    posterior = jax.jit(latent_posterior)(
        params, x if "x" in given else None, y if "y" in given else None
    )
    expected = centred @ gain if given else np.zeros(3)
    np.testing.assert_allclose(posterior.mean, expected, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(posterior.covariance, np.eye(3) - gain.T @ w[rows], atol=1e-9)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_predictions_are_those_of_cca_and_of_the_model(l2, x64):
    x, y, params = fit(2, l2)
    t, plain = probabilistic_cca(dim=2), cca(dim=2, l2=l2)
    expected = jax.jit(plain.fit)(x, y)
    np.testing.assert_allclose(t.apply(params, x), plain.apply(expected, x), rtol=1e-9)
    np.testing.assert_allclose(t.inverse(params, y), plain.inverse(expected, y), rtol=1e-9)
    mean, s, _ = model(params)
    conditional = mean[5:] + (x - mean[:5]) @ np.linalg.solve(s[:5, :5], s[:5, 5:])
    np.testing.assert_allclose(predictive(t, params, x).mean, conditional, rtol=1e-8)
    through = params.means[1] + latent_posterior(params, x).mean @ params.loadings[1].T
    np.testing.assert_allclose(through, conditional, rtol=1e-8)


def test_a_perfect_correlation_leaves_no_doubt(x64):
    x, _ = data()
    params = jax.jit(probabilistic_cca(dim=5, l2=0.0).fit)(x, x)
    for given in ((x, None), (None, x), (x, x)):
        posterior = latent_posterior(params, *given)
        np.testing.assert_allclose(posterior.covariance, 0, atol=1e-10)
        assert np.isfinite(posterior.mean).all()
    both, one = latent_posterior(params, x, x).mean, latent_posterior(params, x).mean
    np.testing.assert_allclose(both, one, atol=1e-8)


@functools.partial(jax.jit, static_argnums=2)
@functools.partial(jax.value_and_grad, argnums=(0, 1))
def loss(x, y, dim):
    params = probabilistic_cca(dim=dim, l2=0.1).fit(x, y)
    posterior = latent_posterior(params, x[:3], y[:3])
    return jnp.sum(posterior.mean**2) + sum(jnp.sum(jnp.sin(p)) for p in params.noises)


def test_gradients_through_the_fit(x64):
    x, y = data()
    rng = np.random.default_rng(3)
    dx, dy = 1e-5 * rng.normal(size=x.shape), 1e-5 * rng.normal(size=y.shape)
    gx, gy = loss(x, y, 2)[1]
    difference = (loss(x + dx, y + dy, 2)[0] - loss(x - dx, y - dy, 2)[0]) / 2
    np.testing.assert_allclose(np.sum(gx * dx) + np.sum(gy * dy), difference, rtol=1e-6)
    for gradient in loss(x, np.ones_like(y), 2)[1]:  # correlations of 0
        assert np.isfinite(gradient).all()


def test_bad_arguments_are_named(no_jaxtyping):
    x, y, params = fit(2)
    with pytest.raises(
        ValueError, match=r"probabilistic_cca: `dim` .* got dim=5 for dx=5 and dy=4"
    ):
        jax.eval_shape(probabilistic_cca(dim=5).fit, x, y)
    with pytest.raises(ValueError, match=r"latent_posterior: `y` must be \[\*batch, 4\]"):
        latent_posterior(params, None, x)
