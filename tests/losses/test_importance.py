"""Importance-weighted bounds: their order, their limit, and doubly reparameterised gradients.

The model has one latent number and one observed: p(z) = N(0, 1), p(x | z) = N(z, 1/2), so that the
posterior is N(2x/3, 1/3) and x ~ N(0, 3/2).
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from crossmodal_jax import fusion, losses

X = 0.8
POSTERIOR = (2 * X / 3, np.log(1 / 3))
EVIDENCE = stats.norm.logpdf(X, 0, np.sqrt(1.5))
NODES, CHANCES = np.polynomial.hermite_e.hermegauss(40)
CHANCES = CHANCES / CHANCES.sum()


def log_joint(z, x=X):
    prior = losses.gaussian_log_likelihood(z, jnp.zeros_like(z))
    return prior + losses.gaussian_log_likelihood(z, jnp.full_like(z, x), np.log(0.5))


def log_weights(z, mean, log_variance, x=X):
    """log p(x, z) − log q(z) of draws [k, *batch, 1]."""
    q = losses.gaussian_log_likelihood(z, jnp.broadcast_to(mean, z.shape), log_variance)
    return log_joint(z, x) - q


def test_one_draw_is_a_sample_of_the_elbo(x64):
    @jax.jit
    def run(z):
        likelihood = losses.gaussian_log_likelihood(z, jnp.full_like(z, X), np.log(0.5))
        q = losses.gaussian_log_likelihood(z, jnp.full_like(z, 0.3), 0.1)
        ratio = q - losses.gaussian_log_likelihood(z, jnp.zeros_like(z))
        loss = losses.mmvae_loss(log_weights(z[None], 0.3, 0.1)[..., None])
        return loss, losses.elbo_loss(likelihood[:, None], ratio)

    loss, expected = run(np.random.default_rng(0).normal(size=(6, 1)))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_at_the_posterior_any_draws_give_the_evidence(x64):
    @jax.jit
    def run(z):
        terms = log_weights(z, *POSTERIOR)[..., None]
        return losses.mmvae_loss(terms), losses.mmvae_loss(jnp.tile(terms, 2))

    found = run(np.random.default_rng(0).normal(size=(5, 4, 1)))
    np.testing.assert_allclose(found, np.full((2, 4), -EVIDENCE), rtol=1e-12)


def test_the_mean_over_all_choices_of_k_draws_falls_with_k(x64):
    terms = 2 * np.random.default_rng(0).normal(size=6)
    means = []
    for k in (1, 2, 4, 6):
        choices = np.array(list(itertools.combinations(terms, k))).T
        means.append(jax.jit(losses.mmvae_loss)(choices[..., None]).mean())
    assert (np.diff(means) < -1e-3).all()


def test_a_mixture_bounds_the_evidence(x64):
    @jax.jit
    def run(means, log_variances):
        q = fusion.GaussianMixture(jnp.log(jnp.full(2, 0.5)), means, log_variances)
        draws = means + jnp.exp(log_variances / 2) * NODES
        terms = log_joint(draws[..., None]) - fusion.mixture_log_density(q, draws[..., None])
        # K = 1 and 2, with one row for each node of the quadrature.
        pairs = jnp.stack(jnp.broadcast_arrays(terms.T[:, None], terms.T[None]))
        return losses.mmvae_loss(terms.T[None]), losses.mmvae_loss(pairs)

    single, double = run(np.array([[1.0], [-0.5]]), np.array([[-1.0], [0.5]]))
    assert -EVIDENCE < CHANCES @ double @ CHANCES < CHANCES @ single


def test_what_the_experts_of_a_row_give_is_averaged_outside_the_logarithm():
    terms = np.log(np.array([[[1.0, 8.0]], [[3.0, 2.0]]], np.float32))
    present = np.array([[True, True], [False, True], [False, False]])
    got = jax.jit(lambda terms: losses.mmvae_loss(jnp.tile(terms, (3, 1)), present=present))(terms)
    np.testing.assert_allclose(got, [-np.log(np.sqrt(2.0 * 5.0)), -np.log(5.0), 0], rtol=1e-6)


def _dreg_loss(parameters, noise):
    """IWAE loss of draws [k, *batch, 1] with doubly reparameterised gradients; x is a parameter."""
    mean, log_variance, x = parameters

    def weights(z):
        fixed = jax.lax.stop_gradient((mean, log_variance))
        return log_weights(z, *fixed, x)

    z = mean + jnp.exp(log_variance / 2) * noise
    z = losses.dreg_samples(z, weights(z))
    return losses.mmvae_loss(weights(z)[..., None])


def _plain_loss(parameters, noise):
    mean, log_variance, x = parameters
    z = mean + jnp.exp(log_variance / 2) * noise
    return losses.mmvae_loss(log_weights(z, mean, log_variance, x)[..., None])


PARAMETERS = tuple(jnp.asarray(v) for v in (1.0, -0.5, X))


def test_dreg_has_the_mean_of_the_plain_gradient_and_that_of_the_decoder_in_each_draw(x64):
    parameters = tuple(np.float64(v) for v in PARAMETERS)
    noise = np.stack(np.broadcast_arrays(NODES[:, None], NODES[None]))[..., None]
    jacobian = lambda loss: jax.jit(jax.jacfwd(loss))(parameters, noise)
    plain, dreg = jacobian(_plain_loss), jacobian(_dreg_loss)
    np.testing.assert_allclose(dreg[2], plain[2], rtol=1e-12)
    for a, b in zip(plain[:2], dreg[:2], strict=True):
        assert np.abs(a - b).max() > 0.1
        # So exact is a quadrature of 40 nodes.
        np.testing.assert_allclose(CHANCES @ b @ CHANCES, CHANCES @ a @ CHANCES, rtol=1e-5)


def test_dreg_weighs_slopes_by_the_square_of_the_shares(x64):
    noise = np.random.default_rng(0).normal(size=(4, 1, 1))
    mean, log_variance = 1.0, -0.5
    z = mean + np.exp(log_variance / 2) * noise[:, 0, 0]
    joint = -(z**2) / 2 - (z - X) ** 2
    weights = joint + (z - mean) ** 2 / np.exp(log_variance) / 2
    shares = np.exp(weights) / np.exp(weights).sum()
    slopes = -z - 2 * (z - X) + (z - mean) / np.exp(log_variance)
    parameters = (np.float64(mean), np.float64(log_variance), np.float64(X))
    got = jax.jit(jax.jacrev(_dreg_loss))(parameters, noise)
    np.testing.assert_allclose(got[0], [-np.sum(shares**2 * slopes)], rtol=1e-12)
    by_log_variance = shares**2 * slopes * (z - mean) / 2
    np.testing.assert_allclose(got[1], [-by_log_variance.sum()], rtol=1e-12)


def test_dreg_vanishes_at_the_posterior_for_every_draw(x64):
    parameters = (*map(np.float64, POSTERIOR), np.float64(X))
    noise = np.random.default_rng(0).normal(size=(3, 5, 1))
    plain, dreg = (jax.jit(jax.jacfwd(f))(parameters, noise) for f in (_plain_loss, _dreg_loss))
    np.testing.assert_allclose(np.stack(dreg[:2]), 0, atol=1e-12)
    assert np.abs(np.stack(plain[:2])).max() > 0.1


def test_dreg_keeps_the_draws_to_the_last_bit_in_their_dtype():
    z = jax.random.normal(jax.random.key(0), (3, 4, 2), jnp.bfloat16)
    got = losses.dreg_samples(z, jnp.arange(12.0).reshape(3, 4))
    assert got.dtype == z.dtype
    np.testing.assert_array_equal(got, z)


def test_shapes_that_do_not_fit_are_refused(no_jaxtyping):
    with pytest.raises(ValueError, match=r"mmvae_loss: `log_weights` must have axes"):
        losses.mmvae_loss(np.zeros(3, np.float32))
    with pytest.raises(
        ValueError, match=r"dreg_samples: `log_weights` must have one value per draw"
    ):
        losses.dreg_samples(np.zeros((3, 4, 2), np.float32), np.zeros((4, 3), np.float32))
