"""Negative evidence bounds of models with one latent and several modalities.

A bound is put together from the log-likelihood of each modality given a latent, from this room,
and divergences between beliefs about the latent. Beliefs come as their mean and log-variance.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_present, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._clean import clean_rows, common_dtype


def gaussian_divergence(
    mean: Float[ArrayLike, "*batch d"],
    log_variance: Float[ArrayLike, "*batch d"],
    other_mean: Float[ArrayLike, "..."] | float = 0.0,
    other_log_variance: Float[ArrayLike, "..."] | float = 0.0,
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Kullback–Leibler divergence of a Gaussian from another, or from N(0, 1), per sample.

    KL(N(μ, σ²) ‖ N(m, s²)) = ½ Σₖ (σₖ²/sₖ² − 1 − log(σₖ²/sₖ²) + (μₖ − mₖ)²/sₖ²), both with
    independent coordinates. It takes what `fusion.Gaussian` holds:
    `gaussian_divergence(*posterior, *expert, where=present[..., m])`.

    Args:
      mean: Mean μ of the first, shape [*batch, d].
      log_variance: Logarithm of its variance σ², shape [*batch, d].
      other_mean: Mean m of the second, a number or a shape that broadcasts to [*batch, d].
      other_log_variance: Logarithm of its variance s², likewise.
      where: Samples to keep, shape [*batch].

    Returns:
      Divergence per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(gaussian_divergence(jnp.array([[0.0, 0.0], [1.0, 2.0]]), jnp.zeros((2, 2))))
      [0.  2.5]

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      2013, Appendix B.
    """
    (mean, log_variance, other_mean, other_log_variance), kept = clean_rows(
        "gaussian_divergence",
        {"mean": mean, "log_variance": log_variance},
        where,
        parameters={"other_mean": other_mean, "other_log_variance": other_log_variance},
    )
    log_ratio = log_variance - other_log_variance
    scaled = (mean - other_mean) * jnp.exp(-other_log_variance / 2)
    return numerics.masked_sum(jnp.expm1(log_ratio) - log_ratio + scaled**2, kept, axis=-1) / 2


def elbo_loss(
    log_likelihoods: Float[ArrayLike, "*batch m"],
    divergence: Float[ArrayLike, "*batch"],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    weights: Float[ArrayLike, "..."] | None = None,
    beta: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Negative evidence lower bound of several modalities, one value per sample.

    −Σ_{i ∈ S} λᵢ log p(xᵢ | z) + β KL(q ‖ p), with z drawn from q and S the modalities whose
    likelihood counts: those that the sample has, or of them those that are to be explained. With
    λ = β = 1 its mean over draws is at least −log p(x_S). Which bound of the literature it is
    depends on q:

    - MVAE: q is the `fusion.product_of_experts` of the present experts. The objective of the paper
      adds up this bound for all modalities, each alone, and random parts of them: one call for
      each with another `present`, for the product and here.
    - MoPoE: q is the mixture `fusion.mopoe`; z is drawn from it, and the divergence is the estimate
      log q(z) − log p(z) at that draw. The looser bound of the paper weighs the divergences of the
      components instead: the mean over components of one bound for each, with a draw of each.
    - A mixture of experts without importance weights is the same with `fusion.mixture_of_experts`.

    Args:
      log_likelihoods: log p(xᵢ | z) of each modality, shape [*batch, m].
      divergence: KL(q ‖ p), as `gaussian_divergence(*q)`, or an estimate of it at z, shape
        [*batch].
      present: True where the likelihood counts, a shape that broadcasts to [*batch, m]; None if
        all do. What is computed from absent modalities has to be clean for the gradient: give
        their likelihoods `where=present[..., i]`.
      weights: λ, a shape that broadcasts to [*batch, m]; None for 1. Some weigh modalities by the
        inverse of their width.
      beta: Weight β of the divergence; may be traced.
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If a mask is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax import fusion
      >>> from crossmodal_jax.losses import gaussian_log_likelihood
      >>> decoders = [lambda z: jnp.tile(z, 2), lambda z: 3 * z]
      >>> @jax.jit
      ... def loss(key, xs, present):
      ...     experts = [fusion.Gaussian(x[:, :1], 0 * x[:, :1]) for x in xs]  # as encoders do
      ...     q = fusion.product_of_experts(experts, present=present)
      ...     z = fusion.sample_gaussian(key, q)
      ...     terms = [
      ...         gaussian_log_likelihood(x, decode(z), where=present[:, i])
      ...         for i, (x, decode) in enumerate(zip(xs, decoders))
      ...     ]
      ...     return elbo_loss(jnp.stack(terms, axis=-1), gaussian_divergence(*q), present=present)
      >>> xs = [jnp.array([[1.0, 2.0]]), jnp.array([[jnp.nan]])]
      >>> print(jnp.isfinite(loss(jax.random.key(0), xs, jnp.array([[True, False]]))))
      [ True]

    References:
      Wu and Goodman, `Multimodal Generative Models for Scalable Weakly-Supervised Learning
      <https://arxiv.org/abs/1802.05335>`_, 2018. Sutter et al., `Generalized Multimodal ELBO
      <https://arxiv.org/abs/2105.02470>`_, 2021.
    """
    bound = _parts("elbo_loss", log_likelihoods, divergence, present=present, where=where)
    return _explained(bound, weights) + _number(beta, bound) * bound.divergence


def mvtcae_loss(
    log_likelihoods: Float[ArrayLike, "*batch m"],
    divergence: Float[ArrayLike, "*batch"],
    divergences: Float[ArrayLike, "*batch m"],
    *,
    alpha: Float[ArrayLike, ""] | float = 0.9,
    present: Bool[ArrayLike, "..."] | None = None,
    weights: Float[ArrayLike, "..."] | None = None,
    beta: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Loss of the multi-view total correlation autoencoder, one value per sample.

    With z drawn from q, the product of the experts qᵢ, and n the number of present modalities:
    −(n − α)/n Σᵢ λᵢ log p(xᵢ | z) + β (α/n Σᵢ KL(q ‖ qᵢ) + (1 − α) KL(q ‖ p)). The divergences from
    the experts make each of them alone agree with all of them together. α = 0 is `elbo_loss`.

    Args:
      log_likelihoods: log p(xᵢ | z) of each modality, shape [*batch, m].
      divergence: KL(q ‖ p), as `gaussian_divergence(*q)`, shape [*batch].
      divergences: KL(q ‖ qᵢ) for each modality, as
        `gaussian_divergence(*q, *experts[i], where=present[..., i])`, shape [*batch, m].
      alpha: α between 0 and 1, the share of the experts; may be traced.
      present: As for `elbo_loss`; n counts what is present.
      weights: As for `elbo_loss`.
      beta: Weight β of the divergences; may be traced.
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped. Where nothing is
      present it is β (1 − α) KL(q ‖ p).

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If a mask is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> log_likelihoods, divergences = jnp.array([-4.0, -2.0]), jnp.array([1.0, 2.0])
      >>> print(mvtcae_loss(log_likelihoods, jnp.array(3.0), divergences, alpha=0.5))
      6.75

    References:
      Hwang et al., Multi-View Representation Learning via Total Correlation Objective, 2021.
    """
    parts = (log_likelihoods, divergence, divergences)
    bound = _parts("mvtcae_loss", *parts, present=present, where=where)
    alpha = _number(alpha, bound)
    number = jnp.maximum(bound.number, 1)
    experts = alpha / number * jnp.sum(bound.divergences, axis=-1)
    divergence = experts + (1 - alpha) * bound.divergence
    explained = (number - alpha) / number * _explained(bound, weights)
    return explained + _number(beta, bound) * divergence


def jmvae_loss(
    log_likelihoods: Float[ArrayLike, "*batch m"],
    divergence: Float[ArrayLike, "*batch"],
    divergences: Float[ArrayLike, "*batch m"],
    *,
    alpha: Float[ArrayLike, ""] | float = 0.1,
    present: Bool[ArrayLike, "..."] | None = None,
    weights: Float[ArrayLike, "..."] | None = None,
    beta: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Loss of the joint multimodal variational autoencoder (JMVAE-kl), one value per sample.

    `elbo_loss` of q(z | x), an encoder of all modalities at once, plus
    α Σᵢ KL(q(z | x) ‖ q(z | xᵢ)), by which the encoder of each modality alone learns to say what
    the joint one says.

    Args:
      log_likelihoods: log p(xᵢ | z) of each modality, shape [*batch, m].
      divergence: KL(q(z | x) ‖ p), shape [*batch].
      divergences: KL(q(z | x) ‖ q(z | xᵢ)) for each modality, as
        `gaussian_divergence(*joint, *single[i], where=present[..., i])`, shape [*batch, m].
      alpha: Weight α of these; may be traced.
      present: As for `elbo_loss`; an absent modality adds neither of its terms.
      weights: As for `elbo_loss`.
      beta: Weight β of the divergence from p; may be traced.
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If a mask is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> log_likelihoods, divergences = jnp.array([-4.0, -2.0]), jnp.array([1.0, 2.0])
      >>> print(jmvae_loss(log_likelihoods, jnp.array(3.0), divergences, alpha=0.5))
      10.5

    References:
      Suzuki et al., `Joint Multimodal Learning with Deep Generative Models
      <https://arxiv.org/abs/1611.01891>`_, 2016.
    """
    parts = (log_likelihoods, divergence, divergences)
    bound = _parts("jmvae_loss", *parts, present=present, where=where)
    joint = _explained(bound, weights) + _number(beta, bound) * bound.divergence
    return joint + _number(alpha, bound) * jnp.sum(bound.divergences, axis=-1)


class _Parts(NamedTuple):
    """What a bound is made of; 0 where absent or dropped, in one dtype."""

    log_likelihoods: Float[Array, "*batch m"]
    divergence: Float[Array, "*batch"]
    divergences: Float[Array, "*batch m"]
    number: Float[Array, "*batch"]


def _parts(
    name: str,
    log_likelihoods: ArrayLike,
    divergence: ArrayLike,
    divergences: ArrayLike | None = None,
    *,
    present: ArrayLike | None,
    where: ArrayLike | None,
) -> _Parts:
    terms, divergence = jnp.asarray(log_likelihoods), jnp.asarray(divergence)
    if terms.ndim < 1 or divergence.shape != terms.shape[:-1]:
        raise ValueError(
            f"{name}: `divergence` must have one value per row of `log_likelihoods` [*batch, m], "
            f"got log_likelihoods.shape={terms.shape} and divergence.shape={divergence.shape}; "
            "stack the modalities along the last axis."
        )
    experts = jnp.zeros_like(terms) if divergences is None else jnp.asarray(divergences)
    if experts.shape != terms.shape:
        raise ValueError(
            f"{name}: `divergences` must have the shape [*batch, m] of `log_likelihoods`, got "
            f"log_likelihoods.shape={terms.shape} and divergences.shape={experts.shape}; "
            "stack the modalities along the last axis."
        )
    keep = check_where(name, where, divergence.shape)
    mask = check_present(name, present, [terms] * terms.shape[-1]) & keep[..., None]
    dtype = common_dtype(terms, divergence, experts)
    return _Parts(
        numerics.zero_absent(terms.astype(dtype), mask),
        numerics.zero_absent(divergence.astype(dtype), keep),
        numerics.zero_absent(experts.astype(dtype), mask),
        jnp.sum(mask, axis=-1, dtype=dtype),
    )


def _explained(bound: _Parts, weights: ArrayLike | None) -> Float[Array, "*batch"]:
    """−Σᵢ λᵢ log p(xᵢ | z)."""
    terms = bound.log_likelihoods
    if weights is not None:
        terms = jnp.asarray(weights).astype(terms.dtype) * terms
    return -jnp.sum(terms, axis=-1)


def _number(x: ArrayLike | float, bound: _Parts) -> Float[Array, ""]:
    return jnp.asarray(x, bound.divergence.dtype)
