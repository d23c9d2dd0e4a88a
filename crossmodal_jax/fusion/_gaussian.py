"""Diagonal Gaussians and their mixtures: what experts say, and what one asks of the answer."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike


class Gaussian(NamedTuple):
    """A Gaussian with independent coordinates.

    Attributes:
      mean: Mean μ, shape [*batch, d].
      log_variance: Logarithm of the variance, log σ², shape [*batch, d].
    """

    mean: Float[Array, "*batch d"]
    log_variance: Float[Array, "*batch d"]


class GaussianMixture(NamedTuple):
    """A mixture of k Gaussians with independent coordinates.

    Attributes:
      log_weights: Logarithms of the weights, which add up to 1, shape [*batch, k]; −inf for a
        component that does not count.
      means: Means, shape [*batch, k, d].
      log_variances: Logarithms of the variances, shape [*batch, k, d].
    """

    log_weights: Float[Array, "*batch k"]
    means: Float[Array, "*batch k d"]
    log_variances: Float[Array, "*batch k d"]


def sample_gaussian(
    key: PRNGKeyArray, gaussian: Gaussian, shape: tuple[int, ...] = ()
) -> Float[Array, "*shape_and_batch d"]:
    """Draws from a Gaussian, differentiably: z = μ + σ ⊙ ε with ε standard normal.

    Args:
      key: Random key.
      gaussian: Mean and log-variance, shapes [*batch, d].
      shape: Leading axes of independent draws.

    Returns:
      Samples, shape [*shape, *batch, d], in the dtype of the mean. Their gradient reaches the
      mean and the log-variance.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> certain = Gaussian(jnp.array([1.0, 2.0]), jnp.full(2, -200.0))
      >>> print(sample_gaussian(jax.random.key(0), certain, (2,)))
      [[1. 2.]
       [1. 2.]]

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      2013, Section 2.4.
    """
    mean, log_variance = _wide(*gaussian)
    noise = jax.random.normal(key, (*shape, *mean.shape), mean.dtype)
    return (mean + jnp.exp(log_variance / 2) * noise).astype(gaussian.mean.dtype)


def sample_mixture(
    key: PRNGKeyArray, mixture: GaussianMixture, shape: tuple[int, ...] = ()
) -> Float[Array, "*shape_and_batch d"]:
    """Draws from a mixture: a component by its weight, then a sample of that component.

    The sample is differentiable within its component. The choice of the component is not: the
    weights get gradient 0, so the gradient of an expectation over samples lacks their share.

    Args:
      key: Random key.
      mixture: Log-weights [*batch, k], means and log-variances [*batch, k, d].
      shape: Leading axes of independent draws.

    Returns:
      Samples, shape [*shape, *batch, d], in the dtype of the means.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = jnp.array([-jnp.inf, 0.0])
      >>> mixture = GaussianMixture(weights, jnp.array([[1.0], [5.0]]), jnp.full((2, 1), -200.0))
      >>> print(sample_mixture(jax.random.key(0), mixture, (3,)).T)
      [[5. 5. 5.]]
    """
    choice_key, noise_key = jax.random.split(key)
    log_weights, *components = mixture
    batch = log_weights.shape[:-1]
    chosen = jax.random.categorical(choice_key, log_weights, shape=(*shape, *batch))
    index = chosen[..., None, None]
    leading = tuple(range(len(shape)))
    mean, log_variance = (
        jnp.take_along_axis(jnp.expand_dims(x, leading), index, axis=-2)[..., 0, :]
        for x in components
    )
    return sample_gaussian(noise_key, Gaussian(mean, log_variance))


def mixture_moments(mixture: GaussianMixture) -> Gaussian:
    """Mean and variance of a mixture: the Gaussian nearest to it in KL(mixture ‖ Gaussian).

    μ = Σⱼ wⱼ μⱼ and σ² = Σⱼ wⱼ σⱼ² + Σⱼ wⱼ (μⱼ − μ)², the law of total variance.

    Args:
      mixture: Log-weights [*batch, k], means and log-variances [*batch, k, d].

    Returns:
      Mean and log-variance, shapes [*batch, d], in the dtypes of the means and log-variances.

    Examples:
      >>> import jax.numpy as jnp
      >>> log_weights = jnp.log(jnp.array([0.5, 0.5]))
      >>> mixture = GaussianMixture(log_weights, jnp.array([[-1.0], [1.0]]), jnp.zeros((2, 1)))
      >>> mean, log_variance = mixture_moments(mixture)
      >>> print(mean, jnp.exp(log_variance))
      [0.] [2.]
    """
    log_weights, means, log_variances = _wide(*mixture)
    log_weights = log_weights[..., None]
    weights = jnp.exp(log_weights)
    mean = jnp.sum(weights * means, axis=-2)
    within = numerics.masked_logsumexp(
        log_weights + log_variances, jnp.isfinite(log_weights), axis=-2
    )
    between = jnp.sum(weights * (means - mean[..., None, :]) ** 2, axis=-2)
    apart = between > 0
    log_between = jnp.log(jnp.where(apart, between, 1))
    log_variance = jnp.where(apart, jnp.logaddexp(within, log_between), within)
    return Gaussian(
        mean.astype(mixture.means.dtype), log_variance.astype(mixture.log_variances.dtype)
    )


def mixture_log_density(
    mixture: GaussianMixture, z: Float[ArrayLike, "*#lead d"]
) -> Float[Array, "..."]:
    """Logarithm of the density of a mixture, log Σⱼ wⱼ N(z; μⱼ, σⱼ²).

    Args:
      mixture: Log-weights [*batch, k], means and log-variances [*batch, k, d].
      z: Points, shape [*lead, d], where [*lead] broadcasts with [*batch]: samples of shape
        [*shape, *batch, d] do.

    Returns:
      Log-densities, the broadcast shape of [*lead] and [*batch], float32 at least.

    Examples:
      >>> import jax.numpy as jnp
      >>> mixture = GaussianMixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.zeros((1, 2)))
      >>> print(f"{mixture_log_density(mixture, jnp.zeros(2)):.4f}")
      -1.8379
    """
    log_weights, means, log_variances, z = _wide(*mixture, jnp.asarray(z))
    # The deviation is divided before it is squared, which keeps a tiny variance finite.
    scaled = (z[..., None, :] - means) * jnp.exp(-log_variances / 2)
    terms = scaled**2 + log_variances + math.log(2 * math.pi)
    joint = log_weights - jnp.sum(terms, axis=-1) / 2
    return numerics.masked_logsumexp(joint, jnp.isfinite(log_weights), axis=-1)


def _wide(*arrays: Array) -> tuple[Array, ...]:
    """Returns the arrays in their common dtype, float32 at least."""
    dtype = np.dtype(np.float32)
    for x in arrays:
        dtype = np.promote_types(dtype, x.dtype)
    return tuple(jnp.asarray(x).astype(dtype) for x in arrays)
