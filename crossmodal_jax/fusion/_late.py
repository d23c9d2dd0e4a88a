"""Late fusion: each modality decides for itself, and the decisions are averaged or counted."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import stack_inputs


def late_mean(
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    weights: Float[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch k"]:
    """Mean of the class probabilities of the modalities, as log-probabilities (sum rule).

    log p = log Σᵢ w̃ᵢ pᵢ with pᵢ = softmax(xᵢ) and w̃ᵢ = mᵢ wᵢ / Σⱼ mⱼ wⱼ, where mᵢ is 1 if
    modality i is present. It is computed as a log-sum-exp of log-softmaxes, so that classes of
    tiny probability keep their logarithms.

    Absence: An absent modality has no share, and those of the others are renormalised. Where
    nothing of positive weight is present, the result is uniform.

    Cost: No weights to learn; about 10 M k FLOPs and M k numbers of temporaries a sample.

    Choose it when single modalities are often wrong with confidence: a mean of probabilities
    forgives one that is certain and wrong, where `late_product` follows it.

    Args:
      xs: Class scores (logits) of each modality, shapes [*batch, k] with one k; the batch axes
        broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      weights: Weights wᵢ ≥ 0, a shape that broadcasts to [*batch, m]; None for equal ones.

    Returns:
      Log-probabilities of the classes, shape [*batch, k], in the dtype of the inputs, computed
      in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `present` or `weights` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import numpy as np
      >>> xs = [np.log([0.9, 0.1]), np.log([0.3, 0.7])]
      >>> print(np.exp(late_mean(xs)).round(3))
      [0.6 0.4]
      >>> print(np.exp(late_mean(xs, present=np.array([False, True]))).round(3))
      [0.3 0.7]

    References:
      Kittler et al., On Combining Classifiers, IEEE Transactions on Pattern Analysis and Machine
      Intelligence 20(3), 1998.
    """
    scores, shares = _scores_and_shares("late_mean", xs, present, weights)
    log_p = jax.nn.log_softmax(scores.astype(shares.dtype), axis=-1)
    counts = shares > 0
    log_shares = jnp.log(jnp.where(counts, shares, 1))
    mixed = numerics.masked_logsumexp(log_p + log_shares[..., None], counts[..., None], axis=-2)
    some = jnp.any(counts, axis=-1, keepdims=True)
    return jnp.where(some, mixed, -math.log(scores.shape[-1])).astype(scores.dtype)


def late_product(
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    weights: Float[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch k"]:
    """Geometric mean of the class probabilities of the modalities, as log-probabilities.

    log p = Σᵢ w̃ᵢ log pᵢ − log Z with pᵢ = softmax(xᵢ) and w̃ᵢ = mᵢ wᵢ / Σⱼ mⱼ wⱼ, where mᵢ is 1
    if modality i is present and Z makes p add up to 1. The weights add up to 1, unlike those of
    the product rule of Kittler et al., p ∝ Πᵢ pᵢ: agreement does not make the result surer than
    the modalities are. With equal weights the most probable class is that of the product rule.

    Absence: An absent modality has no share, and those of the others are renormalised. Where
    nothing of positive weight is present, the result is uniform.

    Cost: No weights to learn; about 10 M k FLOPs and M k numbers of temporaries a sample.

    Choose it when the modalities are calibrated: each may veto a class that it rules out. To
    learn how far they may be trusted together, see `stacking`, which starts from Πᵢ pᵢ.

    Args:
      xs: Class scores (logits) of each modality, shapes [*batch, k] with one k; the batch axes
        broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      weights: Weights wᵢ ≥ 0, a shape that broadcasts to [*batch, m]; None for equal ones.

    Returns:
      Log-probabilities of the classes, shape [*batch, k], in the dtype of the inputs, computed
      in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `present` or `weights` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import numpy as np
      >>> xs = [np.log([0.9, 0.1]), np.log([0.5, 0.5])]
      >>> print(np.exp(late_product(xs)).round(3))
      [0.75 0.25]

    References:
      Kittler et al., On Combining Classifiers, IEEE Transactions on Pattern Analysis and Machine
      Intelligence 20(3), 1998.
    """
    scores, shares = _scores_and_shares("late_product", xs, present, weights)
    log_p = jax.nn.log_softmax(scores.astype(shares.dtype), axis=-1)
    mixed = jnp.sum(shares[..., None] * log_p, axis=-2)
    return jax.nn.log_softmax(mixed, axis=-1).astype(scores.dtype)


def late_vote(
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    weights: Float[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch k"]:
    """Shares of the votes that each class gets, one vote for each modality (majority vote).

    z = Σᵢ w̃ᵢ vᵢ with w̃ᵢ = mᵢ wᵢ / Σⱼ mⱼ wⱼ, where mᵢ is 1 if modality i is present and vᵢ is 1
    for the class of its highest score and 0 for the others; a modality with several highest
    scores divides its vote among them. Votes are steps: the gradient to the scores is 0.

    Absence: An absent modality has no vote, and the shares of the others are renormalised. Where
    nothing of positive weight is present, the result is uniform.

    Cost: No weights to learn; about 5 M k FLOPs and M k numbers of temporaries a sample.

    Choose it when the scores of different modalities cannot be compared, only their decisions
    can, and nothing before it has to learn through it.

    Args:
      xs: Class scores of each modality, shapes [*batch, k] with one k; the batch axes broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      weights: Weights wᵢ ≥ 0, a shape that broadcasts to [*batch, m]; None for equal ones.

    Returns:
      Shares of the classes, shape [*batch, k], non-negative with sum 1, in the dtype of the
      inputs.

    Raises:
      ValueError: If the shapes of the modalities, `present` or `weights` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> xs = [jnp.array([3.0, 1.0]), jnp.array([9.0, 8.0]), jnp.array([0.0, 1.0])]
      >>> print(late_vote(xs, weights=jnp.array([1.0, 1.0, 2.0])))
      [0.5 0.5]

    References:
      Kittler et al., On Combining Classifiers, IEEE Transactions on Pattern Analysis and Machine
      Intelligence 20(3), 1998.
    """
    scores, shares = _scores_and_shares("late_vote", xs, present, weights)
    highest = (scores == jnp.max(scores, axis=-1, keepdims=True)).astype(shares.dtype)
    votes = highest / jnp.sum(highest, axis=-1, keepdims=True)
    counted = jnp.sum(shares[..., None] * votes, axis=-2)
    some = jnp.any(shares > 0, axis=-1, keepdims=True)
    return jnp.where(some, counted, 1 / scores.shape[-1]).astype(scores.dtype)


def _scores_and_shares(
    name: str, xs: Sequence[ArrayLike], present: ArrayLike | None, weights: ArrayLike | None
) -> tuple[Float[Array, "*batch m k"], Float[Array, "*batch m"]]:
    """Returns clean scores and w̃ᵢ = mᵢ wᵢ / Σⱼ mⱼ wⱼ, zeros where that sum is 0."""
    scores, mask = stack_inputs(name, xs, present)
    weights = jnp.ones(mask.shape[-1]) if weights is None else jnp.asarray(weights)
    try:
        weights = jnp.broadcast_to(weights, mask.shape)
    except ValueError:
        raise ValueError(
            f"{name}: `weights` must broadcast to [*batch, m] = {mask.shape}, got "
            f"weights.shape={weights.shape}; its last axis has one entry per modality."
        ) from None
    kept = jnp.where(mask, weights, 0).astype(np.promote_types(scores.dtype, np.float32))
    return scores, numerics.safe_divide(kept, jnp.sum(kept, axis=-1, keepdims=True))
