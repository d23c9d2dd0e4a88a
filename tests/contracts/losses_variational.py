"""Likelihoods and evidence bounds: definitions in NumPy and SciPy, and their lines."""

import functools

import jax.numpy as jnp
import numpy as np
from row_member import RowMember
from scipy import stats
from scipy.special import logsumexp

from crossmodal_jax import losses


def gaussian_log_likelihood(targets, mean, log_variance):
    return stats.norm.logpdf(targets, mean, np.exp(log_variance / 2)).sum(axis=1)


def laplace_log_likelihood(targets, mean, log_scale):
    return stats.laplace.logpdf(targets, mean, np.exp(log_scale)).sum(axis=1)


def bernoulli_log_likelihood(targets, logits):
    return stats.bernoulli.logpmf(targets, 1 / (1 + np.exp(-logits))).sum(axis=1)


def gaussian_divergence(mean, log_variance, other_mean, other_log_variance):
    first, second = np.exp(log_variance), np.exp(other_log_variance)
    terms = np.log(second / first) + (first + (mean - other_mean) ** 2) / second - 1
    return terms.sum(axis=1) / 2


def elbo_loss(terms, divergence, present, weights, beta):
    rows = zip(terms, divergence, present, strict=True)
    return np.array([beta * d - np.sum((weights * t)[p]) for t, d, p in rows])


def mvtcae_loss(terms, divergence, divergences, present, alpha, beta):
    loss = []
    for t, d, ds, p in zip(terms, divergence, divergences, present, strict=True):
        n = max(p.sum(), 1)
        kept = alpha / n * ds[p].sum() + (1 - alpha) * d
        loss.append(-(n - alpha) / n * t[p].sum() + beta * kept)
    return np.array(loss)


def jmvae_loss(terms, divergence, divergences, present, alpha, beta):
    rows = zip(terms, divergence, divergences, present, strict=True)
    return np.array([beta * d - t[p].sum() + alpha * ds[p].sum() for t, d, ds, p in rows])


def mmvae_loss(log_weights, present):
    bounds = logsumexp(log_weights, axis=2) - np.log(log_weights.shape[2])
    rows = zip(bounds, present, strict=True)
    return np.array([-b[p].mean() if p.any() else 0.0 for b, p in rows])


def _gaussians(count):
    return lambda rng, n: tuple(rng.normal(size=(count, n, 3)))


def _binary(rng, n):
    return rng.integers(0, 2, size=(n, 3)).astype(np.float64), 3 * rng.normal(size=(n, 3))


def _bound(rng, n):
    """Log-likelihoods of three modalities, divergence, divergence from each, presence."""
    present = rng.uniform(size=(n, 3)) < 0.6
    present[0] = False
    divergences = rng.uniform(1, 5, size=(2, n, 3))
    return -divergences[0], divergences[1, :, 0], divergences[1], present


def _elbo(rng, n):
    terms, divergence, _, present = _bound(rng, n)
    return terms, divergence, present


def _draws(rng, n):
    return 5 * rng.normal(size=(n, 3, 4)), _bound(rng, n)[3]


_WEIGHTS = np.array([0.5, 1.0, 3.0])


def _elbo_loss(terms, divergence, present, *, where=None):
    options = {"weights": _WEIGHTS.astype(terms.dtype), "beta": 0.7}
    return losses.elbo_loss(terms, divergence, present=present, where=where, **options)


def _mvtcae_loss(terms, divergence, divergences, present, *, where=None):
    options = {"alpha": 0.3, "beta": 0.7, "present": present, "where": where}
    return losses.mvtcae_loss(terms, divergence, divergences, **options)


def _jmvae_loss(terms, divergence, divergences, present, *, where=None):
    options = {"alpha": 0.3, "beta": 0.7, "present": present, "where": where}
    return losses.jmvae_loss(terms, divergence, divergences, **options)


def _mmvae_loss(log_weights, present, *, where=None):
    # Draws are the first axis of the loss, rows of all arrays of the contract.
    draws = jnp.moveaxis(jnp.asarray(log_weights), 2, 0)
    return losses.mmvae_loss(draws, present=present, where=where)


_line = functools.partial(RowMember, differentiable=True)

LOSSES = {
    "gaussian_log_likelihood": _line(
        losses.gaussian_log_likelihood, _gaussians(3), gaussian_log_likelihood
    ),
    "laplace_log_likelihood": _line(
        losses.laplace_log_likelihood, _gaussians(3), laplace_log_likelihood
    ),
    "bernoulli_log_likelihood": _line(
        losses.bernoulli_log_likelihood, _binary, bernoulli_log_likelihood
    ),
    "gaussian_divergence": _line(losses.gaussian_divergence, _gaussians(4), gaussian_divergence),
    "elbo_loss": _line(_elbo_loss, _elbo, functools.partial(elbo_loss, weights=_WEIGHTS, beta=0.7)),
    "mvtcae_loss": _line(_mvtcae_loss, _bound, functools.partial(mvtcae_loss, alpha=0.3, beta=0.7)),
    "jmvae_loss": _line(_jmvae_loss, _bound, functools.partial(jmvae_loss, alpha=0.3, beta=0.7)),
    "mmvae_loss": _line(_mmvae_loss, _draws, mmvae_loss),
}

# It returns draws, not a loss; tested in its own file.
EXEMPT_LOSSES = {"dreg_samples"}
