"""Importance-weighted evidence bounds: several draws for each sample, averaged in the logarithm."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_present, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._clean import common_dtype


def mmvae_loss(
    log_weights: Float[ArrayLike, "k *batch m"],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Negative importance-weighted bound of a mixture of experts (MMVAE), one value per sample.

    −1/n Σ_{i ∈ S} log 1/K Σₖ w(zᵢₖ), where zᵢ₁ … zᵢ_K are drawn from expert i of the n that the
    sample has, and w(z) = p(z) Π_{j ∈ S} p(xⱼ | z) / q(z) with q their even mixture. Its mean over
    draws is at least −log p(x_S) and falls as K grows. The mean over experts stands outside the
    logarithm. With one expert, `log_weights[..., None]`, it is the IWAE bound of any q, and with
    one draw a sample of the negative ELBO.

    The gradient is that of the value. For the estimator with less noise see `dreg_samples`.

    Args:
      log_weights: log w of each draw from each expert, shape [k, *batch, m].
      present: True where the sample has the modality, a shape that broadcasts to [*batch, m]; None
        if all are. An absent expert is left out here; w leaves it out if it is made as below.
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped or nothing is present.

    Raises:
      ValueError: If `log_weights` has no axes [k, *batch, m] or a mask does not fit them.
      TypeError: If a mask is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax import fusion
      >>> from crossmodal_jax.losses import gaussian_log_likelihood
      >>> xs = [jnp.array([[1.0]]), jnp.array([[jnp.nan]])]
      >>> present = jnp.array([[True, False]])
      >>> experts = [fusion.Gaussian(x / 2, jnp.full((1, 1), jnp.log(0.5))) for x in xs]
      >>> q = fusion.mixture_of_experts(experts, present=present)
      >>> def log_weight(z):
      ...     terms = [
      ...         gaussian_log_likelihood(x, z, where=present[:, j]) for j, x in enumerate(xs)
      ...     ]
      ...     prior = gaussian_log_likelihood(z, jnp.zeros_like(z))
      ...     return prior + sum(terms) - fusion.mixture_log_density(q, z)
      >>> def draw(key):  # one z of each expert; the mixture holds absent ones as N(0, 1)
      ...     z = fusion.sample_gaussian(key, fusion.Gaussian(q.means, q.log_variances))
      ...     return jax.vmap(log_weight, in_axes=-2, out_axes=-1)(z)
      >>> log_weights = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 5))
      >>> print(log_weights.shape, mmvae_loss(log_weights, present=present).round(3))
      (5, 1, 2) [1.516]

    References:
      Shi et al., `Variational Mixture-of-Experts Autoencoders for Multi-Modal Deep Generative
      Models <https://arxiv.org/abs/1911.03393>`_, 2019. Burda et al., `Importance Weighted
      Autoencoders <https://arxiv.org/abs/1509.00519>`_, 2015.
    """
    log_weights = jnp.asarray(log_weights)
    if log_weights.ndim < 2 or log_weights.shape[0] == 0:
        raise ValueError(
            "mmvae_loss: `log_weights` must have axes [k, *batch, m] with at least one draw, got "
            f"log_weights.shape={log_weights.shape}; with one expert pass log_weights[..., None]."
        )
    draws, *batch, num = log_weights.shape
    keep = check_where("mmvae_loss", where, tuple(batch))
    mask = check_present("mmvae_loss", present, [log_weights[0]] * num) & keep[..., None]
    clean = jnp.where(mask, log_weights, 0).astype(common_dtype(log_weights))
    bounds = numerics.masked_logsumexp(clean, jnp.ones_like(mask), axis=0) - math.log(draws)
    return -numerics.masked_mean(bounds, mask, axis=-1)


def dreg_samples(
    z: Float[ArrayLike, "k *batch d"], log_weights: Float[ArrayLike, "k *batch"]
) -> Float[Array, "k *batch d"]:
    """Draws whose gradient is scaled as doubly reparameterised gradients (DReG) ask.

    The value is z. Cotangents of zₖ are multiplied by w̃ₖ = wₖ / Σⱼ wⱼ on their way back. As the
    bound log 1/K Σₖ wₖ itself weighs ∂ log wₖ/∂zₖ by w̃ₖ, the parameters of q get
    Σₖ w̃ₖ² ∂ log wₖ/∂zₖ ∂zₖ/∂φ in all, and those of the decoders what they got before. Where q is
    the posterior that gradient is 0 for every draw, not only in the mean.

    It takes two things of the caller. The density of q inside log w must not depend on its
    parameters: apply `jax.lax.stop_gradient` to them there, not where z is drawn. And log w is
    written twice: of z for the argument here, and of what is returned for `mmvae_loss`. As the two
    have equal values, a compiler may compute them once.

    For one expert the mean of this gradient is that of the bound. For a mixture of several, with
    z [k, *batch, m, d] and log-weights [k, *batch, m], it is the estimator of the MMVAE paper,
    whose mean is that of the bound for K = 1 only: the score of the mixture is not that of the
    expert that drew.

    Args:
      z: Reparameterised draws, shape [k, *batch, d].
      log_weights: log w of each, shape [k, *batch].

    Returns:
      z with another gradient, shape [k, *batch, d], in the dtype of `z`.

    Raises:
      ValueError: If `log_weights` does not have one value per draw.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax.losses import gaussian_log_likelihood, mmvae_loss
      >>> def loss(mean, noise):  # the model p(x | z) = N(z, 1), p(z) = N(0, 1) at x = 1
      ...     def log_weights(z):
      ...         fixed = jnp.broadcast_to(jax.lax.stop_gradient(mean), z.shape)
      ...         joint = gaussian_log_likelihood(z, 0 * z) + gaussian_log_likelihood(z, 1 + 0 * z)
      ...         return joint - gaussian_log_likelihood(z, fixed, jnp.log(0.5))
      ...     z = mean + jnp.sqrt(0.5) * noise
      ...     z = dreg_samples(z, log_weights(z))
      ...     return jnp.sum(mmvae_loss(log_weights(z)[..., None]))
      >>> noise = jax.random.normal(jax.random.key(0), (5, 1, 1))
      >>> print(jnp.abs(jax.jit(jax.grad(loss))(jnp.array([0.5]), noise)) < 1e-6)
      [ True]

    References:
      Tucker et al., `Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives
      <https://arxiv.org/abs/1810.04152>`_, 2018.
    """
    z, log_weights = jnp.asarray(z), jnp.asarray(log_weights)
    if z.ndim < 2 or log_weights.shape != z.shape[:-1]:
        raise ValueError(
            "dreg_samples: `log_weights` must have one value per draw of `z` [k, *batch, d], got "
            f"z.shape={z.shape} and log_weights.shape={log_weights.shape}; keep the axis of draws "
            "first in both."
        )
    shares = numerics.masked_softmax(log_weights, jnp.ones_like(log_weights, bool), axis=0)
    shares = jax.lax.stop_gradient(shares)[..., None].astype(z.dtype)
    fixed = jax.lax.stop_gradient(z)
    # The difference is 0 and carries the gradient: the value is z to the last bit.
    return fixed + shares * (z - fixed)
