"""Log-likelihoods of a sample given what a decoder says, the terms that bounds are made of."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._clean import clean_rows, magnitude


def gaussian_log_likelihood(
    targets: Float[ArrayLike, "*batch d"],
    mean: Float[ArrayLike, "*batch d"],
    log_variance: Float[ArrayLike, "..."] | float = 0.0,
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
    entries: Bool[ArrayLike, "*batch d"] | None = None,
) -> Float[Array, "*batch"]:
    """Log-density under a Gaussian with independent coordinates, one value per sample.

    log p(x) = −½ Σₖ ((xₖ − μₖ)² / σₖ² + log σₖ² + log 2π), summed over the d features with all its
    constants. Without the entries that are not observed it is the log-density of the others.

    For several draws of the latent use `jax.vmap` over them.

    Args:
      targets: The sample x, shape [*batch, d].
      mean: Mean μ, shape [*batch, d].
      log_variance: Logarithm of the variance σ², a number or a shape that broadcasts to
        [*batch, d].
      where: Samples to keep, shape [*batch].
      entries: Observed entries of x, shape [*batch, d].

    Returns:
      Log-density per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(gaussian_log_likelihood(jnp.zeros((2, 2)), jnp.array([[0.0, 0.0], [1.0, 0.0]])))
      [-1.837877 -2.337877]
    """
    (targets, mean, log_variance), kept = clean_rows(
        "gaussian_log_likelihood",
        {"targets": targets, "mean": mean},
        where,
        entries=entries,
        parameters={"log_variance": log_variance},
    )
    # The deviation is divided before it is squared, which keeps a tiny variance finite.
    scaled = (targets - mean) * jnp.exp(-log_variance / 2)
    terms = scaled**2 + log_variance + math.log(2 * math.pi)
    return -numerics.masked_sum(terms, kept, axis=-1) / 2


def laplace_log_likelihood(
    targets: Float[ArrayLike, "*batch d"],
    mean: Float[ArrayLike, "*batch d"],
    log_scale: Float[ArrayLike, "..."] | float = 0.0,
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
    entries: Bool[ArrayLike, "*batch d"] | None = None,
) -> Float[Array, "*batch"]:
    """Log-density under a Laplace distribution with independent coordinates, one value per sample.

    log p(x) = −Σₖ (|xₖ − μₖ| / bₖ + log 2bₖ), summed over the d features. Where xₖ = μₖ the
    gradient by either is 0.

    Args:
      targets: The sample x, shape [*batch, d].
      mean: Location μ, shape [*batch, d].
      log_scale: Logarithm of the scale b, a number or a shape that broadcasts to [*batch, d]. The
        variance is 2b².
      where: Samples to keep, shape [*batch].
      entries: Observed entries of x, shape [*batch, d].

    Returns:
      Log-density per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(laplace_log_likelihood(jnp.zeros((2, 1)), jnp.array([[0.0], [3.0]])))
      [-0.6931472 -3.6931472]
    """
    (targets, mean, log_scale), kept = clean_rows(
        "laplace_log_likelihood",
        {"targets": targets, "mean": mean},
        where,
        entries=entries,
        parameters={"log_scale": log_scale},
    )
    terms = magnitude(targets - mean) * jnp.exp(-log_scale) + log_scale + math.log(2)
    return -numerics.masked_sum(terms, kept, axis=-1)


def bernoulli_log_likelihood(
    targets: Float[ArrayLike, "*batch d"],
    logits: Float[ArrayLike, "*batch d"],
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
    entries: Bool[ArrayLike, "*batch d"] | None = None,
) -> Float[Array, "*batch"]:
    """Log-probability of binary features given their logits, one value per sample.

    log p(x) = Σₖ (xₖ log σ(zₖ) + (1 − xₖ) log σ(−zₖ)), summed over the d features. Targets between
    0 and 1, as grey levels, give the usual cross-entropy, which is the logarithm of no density.

    For classes instead of binary features −`softmax_cross_entropy` is the log-probability.

    Args:
      targets: The sample x, 0 or 1, shape [*batch, d].
      logits: Log-odds z of a 1, shape [*batch, d].
      where: Samples to keep, shape [*batch].
      entries: Observed entries of x, shape [*batch, d].

    Returns:
      Log-probability per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the shapes disagree.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(bernoulli_log_likelihood(jnp.ones((2, 1)), jnp.array([[0.0], [-100.0]])))
      [  -0.6931472 -100.       ]
    """
    (targets, logits), kept = clean_rows(
        "bernoulli_log_likelihood", {"targets": targets, "logits": logits}, where, entries=entries
    )
    # Two softplus of which one has weight 0: their difference would lose the digits of a sure hit.
    terms = targets * jax.nn.softplus(-logits) + (1 - targets) * jax.nn.softplus(logits)
    return -numerics.masked_sum(terms, kept, axis=-1)
