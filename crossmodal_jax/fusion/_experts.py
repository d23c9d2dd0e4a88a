"""Experts that each hold a Gaussian belief about one latent: their product, and their mixtures."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._gaussian import Gaussian, GaussianMixture, mixture_moments
from crossmodal_jax.fusion._inputs import clean_inputs, stack_inputs


def product_of_experts(
    experts: Sequence[Gaussian],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    prior: bool = True,
) -> Gaussian:
    """Product of Gaussian experts and a standard normal prior: precisions add up.

    p(z) ∝ N(z; 0, 1) Πᵢ N(z; μᵢ, σᵢ²) over the present experts, coordinate by coordinate. With
    precisions Tᵢ = 1/σᵢ² and T₀ = 1, μ₀ = 0 for the prior, the result is the Gaussian
    σ² = 1 / Σᵢ Tᵢ and μ = σ² Σᵢ Tᵢ μᵢ. It is computed from logarithms, log σ² = −lseᵢ(−log σᵢ²)
    and μ = Σᵢ softmaxᵢ(−log σᵢ²) μᵢ, so that no precision overflows.

    Absence: An absent expert has precision 0. Where nothing is present the result is the prior
    N(0, 1), also with `prior=False`, for an empty product has no variance.

    Cost: No weights; about 10 (M + 1) d FLOPs and 2 (M + 1) d numbers of temporaries a sample.

    Choose it when the modalities see the same latent and each can say how sure it is: one that
    is sure may overrule all others, which is right if it is calibrated and harmful if it is not.

    Args:
      experts: Mean and log-variance of each modality, shapes [*batch, d] with one d; the batch
        axes of different experts broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      prior: Whether the standard normal prior is one of the experts.

    Returns:
      Mean and log-variance of the product, shapes [*batch, d], in the dtype of the experts'.

    Raises:
      ValueError: If the shapes of the experts and `present` disagree.
      TypeError: If an expert is no `Gaussian` of floating point, or `present` is not boolean.

    Examples:
      >>> import numpy as np
      >>> one = Gaussian(np.array([1.0]), np.log([2.0]))
      >>> two = Gaussian(np.array([-1.0]), np.log([0.5]))
      >>> mean, log_variance = product_of_experts([one, two], prior=False)
      >>> print(np.asarray(mean).round(3), np.exp(log_variance).round(3))
      [-0.6] [0.4]

    References:
      Hinton, Training Products of Experts by Minimizing Contrastive Divergence, Neural
      Computation 14, 2002. Wu and Goodman, `Multimodal Generative Models for Scalable
      Weakly-Supervised Learning <https://arxiv.org/abs/1802.05335>`_, 2018, for the prior as an
      expert and for experts that are absent.
    """
    stacked, mask = _stack("product_of_experts", experts, present)
    return _product(stacked, mask, prior=prior)


def mixture_of_experts(
    experts: Sequence[Gaussian], *, present: Bool[ArrayLike, "..."] | None = None
) -> GaussianMixture:
    """Even mixture of the Gaussian experts that are present.

    p(z) = 1/n Σ_{i ∈ S} N(z; μᵢ, σᵢ²), where S are the n present modalities.

    Absence: An absent expert has weight 0, that is log-weight −inf, and stands in its place as
    N(0, 1). Where nothing is present all components have equal weight, and so the mixture is the
    prior N(0, 1).

    Cost: No weights; the experts are copied into arrays [*batch, m, d], and nothing is computed
    but the weights.

    Choose it when the modalities may disagree and each alone should explain the sample: a mixture
    keeps every opinion, but is never surer than one expert is.

    Args:
      experts: Mean and log-variance of each modality, shapes [*batch, d] with one d; the batch
        axes of different experts broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The mixture of k = m components: log-weights [*batch, k] in float32 at least, means and
      log-variances [*batch, k, d] in the dtype of the experts'.

    Raises:
      ValueError: If the shapes of the experts and `present` disagree.
      TypeError: If an expert is no `Gaussian` of floating point, or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> experts = [Gaussian(jnp.full(1, mean), jnp.zeros(1)) for mean in (1.0, 3.0, jnp.nan)]
      >>> mixture = mixture_of_experts(experts, present=jnp.array([True, True, False]))
      >>> print(jnp.exp(mixture.log_weights), mixture.means[:, 0])
      [0.5 0.5 0. ] [1. 3. 0.]

    References:
      Shi et al., `Variational Mixture-of-Experts Autoencoders for Multi-Modal Deep Generative
      Models <https://arxiv.org/abs/1911.03393>`_, 2019.
    """
    stacked, mask = _stack("mixture_of_experts", experts, present)
    return _even_mixture(stacked, mask)


def mopoe(
    experts: Sequence[Gaussian],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    prior: bool = True,
) -> GaussianMixture:
    """Mixture of products of experts: an even mixture over all subsets of the modalities.

    p(z) = 1/(2ⁿ − 1) Σ_{∅ ≠ A ⊆ S} PoE_A(z), where S are the n present modalities and PoE_A is
    `product_of_experts` of those in A. Component j − 1 belongs to the subset that the bits of
    j = 1 … 2^M − 1 spell, modality 0 being the lowest. For M = 1 it is the product of that expert
    and the prior, or with `prior=False` that expert itself.

    Absence: A subset with an absent modality has weight 0, that is log-weight −inf. Where nothing
    is present all components are N(0, 1), the prior, of equal weight.

    Cost: No weights; about 10 M 2^M d FLOPs a sample. The result holds 2^M d numbers each for
    means and log-variances, the temporaries M + 1 times as many unless the compiler fuses them.

    Choose it as the compromise of `product_of_experts` and `mixture_of_experts`, which it
    contains as components, for a handful of modalities.

    Args:
      experts: Mean and log-variance of each modality, shapes [*batch, d] with one d; the batch
        axes of different experts broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      prior: Whether the standard normal prior is an expert of every product.

    Returns:
      The mixture of k = 2^m − 1 components: log-weights [*batch, k] in float32 at least, means
      and log-variances [*batch, k, d] in the dtype of the experts'.

    Raises:
      ValueError: If the shapes of the experts and `present` disagree.
      TypeError: If an expert is no `Gaussian` of floating point, or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> experts = [Gaussian(jnp.full(1, mean), jnp.zeros(1)) for mean in (1.0, 3.0)]
      >>> mixture = mopoe(experts, prior=False)
      >>> print(jnp.exp(mixture.log_weights[0]).round(3), mixture.means[:, 0])
      0.333 [1. 3. 2.]

    References:
      Sutter et al., `Generalized Multimodal ELBO <https://arxiv.org/abs/2105.02470>`_, 2021.
    """
    stacked, mask = _stack("mopoe", experts, present)
    num = mask.shape[-1]
    subsets = jnp.asarray(np.arange(1, 2**num)[:, None] >> np.arange(num) & 1 == 1)
    shape = (*mask.shape[:-1], *subsets.shape, stacked.mean.shape[-1])
    everywhere = Gaussian(*(jnp.broadcast_to(x[..., None, :, :], shape) for x in stacked))
    products = _product(everywhere, subsets & mask[..., None, :], prior=prior)
    return _even_mixture(products, jnp.all(mask[..., None, :] | ~subsets, axis=-1))


def over_arrays(
    name: str, function: Callable[..., Gaussian | GaussianMixture]
) -> Callable[..., Float[Array, "*batch width"]]:
    """Returns `function` over arrays [*batch, 2d] that hold a mean before a log-variance.

    So does the result; of a mixture it holds the moments.
    """

    def apply(
        xs: Sequence[ArrayLike], *, present: Bool[ArrayLike, "..."] | None = None
    ) -> Float[Array, "*batch width"]:
        arrays, mask = clean_inputs(name, xs, present)
        widths = [x.shape[-1] for x in arrays]
        if any(width % 2 for width in widths):
            raise ValueError(
                f"{name}: every modality must have an even width 2d, a mean before a "
                f"log-variance, got {widths}; concatenate the two along the last axis."
            )
        experts = [Gaussian(*jnp.split(x, 2, axis=-1)) for x in arrays]
        fused = function(experts, present=mask)
        moments = mixture_moments(fused) if isinstance(fused, GaussianMixture) else fused
        return jnp.concatenate(moments, axis=-1)

    return apply


def _stack(
    name: str, experts: Sequence[Gaussian], present: ArrayLike | None
) -> tuple[Gaussian, Bool[Array, "*batch m"]]:
    """Returns the experts as one Gaussian [*batch, m, d], N(0, 1) where absent, and presence."""
    if not all(isinstance(expert, Gaussian) for expert in experts):
        kinds = [type(expert).__name__ for expert in experts]
        raise TypeError(
            f"{name}: every expert must be a Gaussian, got {kinds}; "
            "pass a list of Gaussian(mean, log_variance)."
        )
    unequal = [m for m, expert in enumerate(experts) if len({x.shape for x in expert}) > 1]
    if unequal:
        shapes = [tuple(x.shape for x in experts[m]) for m in unequal]
        raise ValueError(
            f"{name}: mean and log-variance of an expert must have one shape [*batch, d], got "
            f"{shapes} for experts {unequal}; broadcast the one to the other."
        )
    means, mask = stack_inputs(name, [expert.mean for expert in experts], present)
    log_variances, _ = stack_inputs(name, [expert.log_variance for expert in experts], mask)
    return Gaussian(means, log_variances), mask


def _product(experts: Gaussian, keep: Bool[Array, "*batch m"], *, prior: bool) -> Gaussian:
    """Returns the product over axis −2 of the kept ones of clean experts [*batch, m, d]."""
    # The prior N(0, 1) is one more expert, and the only one where no other is kept.
    added = ~jnp.any(keep, axis=-1, keepdims=True) | prior
    kept = jnp.concatenate([keep, added], axis=-1)[..., None]
    dtype = np.promote_types(experts.mean.dtype, experts.log_variance.dtype)
    dtype = np.promote_types(dtype, np.float32)
    padding = [(0, 0)] * (experts.mean.ndim - 2) + [(0, 1), (0, 0)]
    means, log_variances = (jnp.pad(x.astype(dtype), padding) for x in experts)
    shares = numerics.masked_softmax(-log_variances, kept, axis=-2)
    log_precision = numerics.masked_logsumexp(-log_variances, kept, axis=-2)
    mean = jnp.sum(shares * means, axis=-2)
    return Gaussian(
        mean.astype(experts.mean.dtype), (-log_precision).astype(experts.log_variance.dtype)
    )


def _even_mixture(components: Gaussian, counts: Bool[Array, "*batch k"]) -> GaussianMixture:
    """Returns the even mixture of the components [*batch, k, d] that count, or else of all."""
    counts = counts | ~jnp.any(counts, axis=-1, keepdims=True)
    dtype = np.promote_types(components.mean.dtype, np.float32)
    number = jnp.sum(counts, axis=-1, keepdims=True, dtype=dtype)
    log_weights = jnp.where(counts, -jnp.log(number), -jnp.inf)
    return GaussianMixture(log_weights, *components)
