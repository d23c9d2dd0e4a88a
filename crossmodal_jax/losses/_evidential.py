"""The loss of evidence: class probabilities that are themselves uncertain."""

import math

import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._clean import common_dtype

# From here on the asymptotic series below has an error of 1e-14; under it gamma functions are used.
_LARGE = 8.0


def evidential_loss(
    evidence: Float[ArrayLike, "*batch k"],
    labels: Int[ArrayLike, "*batch"],
    *,
    divergence_weight: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Adjusted cross-entropy of evidence for classes, one value per sample.

    Evidence e ≥ 0 is the Dirichlet distribution with α = e + 1. The loss is the expected
    cross-entropy under it, ψ(S) − ψ(α_y) with S = Σₖ αₖ, plus λ KL(Dir(α̃) ‖ Dir(1)), where α̃ is α
    with 1 for the right class: evidence for wrong ones is to vanish. The paper lets λ grow from 0
    to 1 as training goes on, lest all evidence vanish first.

    For several modalities add it up over the evidence of each and that of all, which
    `fusion.evidential` gives. A kept label outside 0 … k − 1 gives NaN.

    Args:
      evidence: Evidence e ≥ 0 for each class, as of a softplus, shape [*batch, k].
      labels: Right classes y, shape [*batch].
      divergence_weight: λ; may be traced.
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `labels` or `where` does not have the batch shape of `evidence`.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> evidence = jnp.array([[0.0, 0.0], [9.0, 0.0]])
      >>> print(jax.jit(evidential_loss)(evidence, jnp.array([0, 0])).round(3))
      [1.  0.1]

    References:
      Han et al., `Trusted Multi-View Classification <https://arxiv.org/abs/2102.02051>`_, 2021.
      Sensoy et al., `Evidential Deep Learning to Quantify Classification Uncertainty
      <https://arxiv.org/abs/1806.01768>`_, 2018, for the divergence.
    """
    evidence, labels = jnp.asarray(evidence), jnp.asarray(labels)
    if evidence.ndim < 1 or labels.shape != evidence.shape[:-1]:
        raise ValueError(
            "evidential_loss: `labels` must have one class per row of `evidence`, got "
            f"evidence.shape={evidence.shape} and labels.shape={labels.shape}; "
            "for one-hot labels pass labels.argmax(axis=-1)."
        )
    keep = check_where("evidential_loss", where, labels.shape)
    evidence = numerics.zero_absent(evidence, keep).astype(common_dtype(evidence))
    is_label = labels.astype(int)[..., None] == jnp.arange(evidence.shape[-1])
    right = numerics.masked_sum(evidence, is_label, axis=-1) + 1
    wrong = jnp.where(is_label, 1, evidence + 1)
    total, rest = jnp.sum(evidence + 1, axis=-1), jnp.sum(wrong, axis=-1)
    # Gamma functions are large programs: each is called once.
    of_total, of_right, of_rest = digamma(jnp.stack([total, right, rest]))
    divergence = _divergence_from_uniform(wrong, rest, of_rest)
    loss = of_total - of_right + jnp.asarray(divergence_weight, total.dtype) * divergence
    loss = jnp.where(jnp.any(is_label, axis=-1), loss, jnp.nan)
    return jnp.where(keep, loss, 0)


def _divergence_from_uniform(
    alpha: Float[Array, "*batch k"], total: Float[Array, "*batch"], of_total: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """KL(Dir(α) ‖ Dir(1)) = log Γ(S) − log Γ(k) + Σᵢ ((αᵢ − 1)(ψ(αᵢ) − ψ(S)) − log Γ(αᵢ)).

    Its terms grow as α log α and what is left of them as log α. With h below, in which what
    cancels is cancelled beforehand, it is h(S) + (k − 1) ψ(S) − Σᵢ h(αᵢ) − log Γ(k). Takes α, S
    and ψ(S).
    """
    num = alpha.shape[-1]
    reduced = _reduced(jnp.concatenate([alpha, total[..., None]], axis=-1))
    logarithms = reduced[..., -1] - jnp.sum(reduced[..., :-1], axis=-1)
    return logarithms + (num - 1) * of_total - math.lgamma(num)


def _reduced(a: Float[Array, "..."]) -> Float[Array, "..."]:
    """h(a) = log Γ(a) − (a − 1) ψ(a) + a, which grows as ½ log a."""
    large = a > _LARGE
    small = jnp.where(large, _LARGE, a)
    direct = gammaln(small) - (small - 1) * digamma(small) + small
    big = jnp.where(large, a, _LARGE)
    inverse = 1 / big
    # The series of Stirling of both functions: coefficients of a^{-1}, a^{-2}, …
    series = jnp.polyval(jnp.asarray(_SERIES, a.dtype), inverse)
    return jnp.where(large, (jnp.log(big) + math.log(2 * math.pi) + 1) / 2 + series, direct)


def _stirling(bernoulli: list[float]) -> list[float]:
    """Coefficients of h(a) − ½ log(2πea) by powers of 1/a, the highest first.

    log Γ(a) has B₂ⱼ / (2j (2j − 1)) a^{1−2j} and ψ(a) has −½ a^{-1} − B₂ⱼ / 2j a^{-2j} beyond
    log a.
    """
    coefficients = [0.0] * (2 * len(bernoulli) + 1)
    coefficients[1] -= 0.5
    for j, b in enumerate(bernoulli, start=1):
        coefficients[2 * j - 1] += b / (2 * j * (2 * j - 1)) + b / (2 * j)
        coefficients[2 * j] -= b / (2 * j)
    return coefficients[::-1]


_SERIES = _stirling([1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6])
