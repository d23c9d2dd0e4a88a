"""Losses over more than two modalities: any loss of pairs, and a joint one."""

import functools
import itertools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from crossmodal_jax import kernels, numerics
from crossmodal_jax._checks import check_modalities, check_present, check_where
from crossmodal_jax._typing import ArrayLike


def pairwise_loss(
    loss: Callable[..., Float[Array, "n"]],
    xs: Sequence[Float[ArrayLike, "n _"]],
    *,
    present: Bool[ArrayLike, "n m"] | None = None,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, "n"]:
    """Mean of a loss of two modalities over all pairs of them, one value per sample.

    The loss of sample i is the mean of `loss(xs[a], xs[b], where=...)[i]` over the pairs a < b that
    it has both of; the samples that are compared then are those that have both. So every sample
    counts alike, however many modalities it has; one with fewer than two has 0.

    Args:
      loss: A loss of pairs with one value per row, such as
        `functools.partial(clip_loss, logit_scale=20.0)`.
      xs: One array per modality, shape [n, d_m] each; row i of each belongs to sample i.
      present: True where the sample has the modality, shape [n, m].
      where: Samples to keep, shape [n].

    Returns:
      Loss per sample, shape [n], 0 where dropped.

    Raises:
      ValueError: If `xs` are not two or more matrices with the same rows, a mask does not fit, or
        `loss` returns another shape than [n].
      TypeError: If a mask is not boolean, or a modality not floating point.

    Examples:
      >>> import functools, jax.numpy as jnp
      >>> from crossmodal_jax.losses import hinge_loss
      >>> hinge = functools.partial(hinge_loss, margin=0.5)
      >>> x, y = jnp.eye(2), jnp.eye(2)[::-1]
      >>> present = jnp.array([[True, True, True], [True, True, False]])
      >>> print(pairwise_loss(hinge, [x, y, x], present=present))
      [1. 3.]
    """
    arrays, has = _check_samples("pairwise_loss", xs, present, where)
    values, masks = [], []
    for a, b in itertools.combinations(range(len(arrays)), 2):
        both = has[:, a] & has[:, b]
        value = loss(arrays[a], arrays[b], where=both)
        if value.shape != both.shape:
            raise ValueError(
                f"pairwise_loss: `loss` must return one value for each of the {both.shape[0]} "
                f"rows, got shape {value.shape}; add up losses of a whole batch by hand."
            )
        values.append(value)
        masks.append(both)
    return numerics.masked_mean(jnp.stack(values), jnp.stack(masks), axis=0)


def symile_loss(
    xs: Sequence[Float[ArrayLike, "n d"]],
    *,
    logit_scale: Float[ArrayLike, ""] | float = 1.0,
    key: PRNGKeyArray | None = None,
    present: Bool[ArrayLike, "n m"] | None = None,
    where: Bool[ArrayLike, "n"] | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "n"]:
    """Joint contrastive loss of any number of modalities (Symile), one value per sample.

    The score of one row of each modality is their multilinear inner product
    ⟨u₁, …, u_M⟩ = Σₖ Πₘ uₘₖ. Every modality a is the anchor once; with the products
    cᵢ = ⊙_{b≠a} x_b[i] of the others, the loss of sample i is the mean over a of
    −log (exp(s⟨xₐ[i], cᵢ⟩) / Σ_c exp(s⟨xₐ[i], c⟩)), which finds cᵢ among candidates c.

    Without a key these are the products cⱼ of all samples j, as of whole other samples. That bounds
    the information between each modality and all others together, and for two modalities is
    `clip_loss`. With a key, as in the paper, each modality is shuffled by itself: the candidates
    are cᵢ and n products of rows that do not belong together, but by chance, which bounds the total
    correlation. Either way they are at most n + 1 of the n^{M−1} products.

    A product of missing modalities has another scale: only samples with all modalities take part.
    For the others there is `pairwise_loss`, or, as in the paper, a learned embedding in the place
    of what is missing. Inputs are used as given: normalise first, and take scales well above those
    of a product of two, as products of unit vectors are small.

    Args:
      xs: One array per modality, shape [n, d] each; row i of each belongs to sample i.
      logit_scale: The scale s (not its logarithm); may be traced.
      key: Random key for the shuffles; None keeps the others of a sample together.
      present: True where the sample has the modality, shape [n, m].
      where: Samples to keep, shape [n]. A dropped one is no anchor *and* no candidate.
      precision: As for `kernels.log_sums`.
      implementation: As for `kernels.log_sums`; `"streamed"` needs memory linear in n, for the
        gradient too.

    Returns:
      Loss per sample, shape [n], float32 or float64; 0 where dropped or not complete.

    Raises:
      ValueError: If `xs` are not two or more matrices of one shape, or a mask does not fit.
      TypeError: If a mask is not boolean, or a modality not floating point.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> print(symile_loss([jnp.eye(2)] * 3, logit_scale=0.0))
      [0.6931472 0.6931472]
      >>> print(jnp.exp(symile_loss([jnp.eye(2)] * 3, logit_scale=0.0, key=jax.random.key(0))))
      [3. 3.]

    References:
      Saporta et al., `Contrasting with Symile: Simple Model-Agnostic Representation Learning for
      Unlimited Modalities <https://arxiv.org/abs/2411.01053>`_, 2024, section 3.
    """
    arrays, has = _check_samples("symile_loss", xs, present, where)
    if len({x.shape for x in arrays}) > 1:
        raise ValueError(
            f"symile_loss: `xs` must share one shape [n, d], got {[x.shape for x in arrays]}; "
            "project all to one width."
        )
    keep = jnp.all(has, axis=1)
    dtype = np.promote_types(np.result_type(*(x.dtype for x in arrays)), jnp.float32)
    arrays = [numerics.zero_absent(x, keep).astype(dtype) for x in arrays]
    scale = jnp.asarray(logit_scale, dtype)
    sums = functools.partial(
        kernels.log_sums,
        scale=scale,
        where=keep,
        precision=precision,
        implementation=implementation,
    )
    orders = None if key is None else _shuffles(key, keep, len(arrays))
    total = jnp.zeros_like(keep, dtype)
    for a, anchor in enumerate(arrays):
        others = [b for b in range(len(arrays)) if b != a]
        own = functools.reduce(operator.mul, (arrays[b] for b in others))
        if orders is None:
            found = sums(anchor, own, where_y=keep)
            total += found.rows - found.matches
        else:
            shuffled = functools.reduce(operator.mul, (arrays[b][orders[b]] for b in others))
            # All that are kept come first.
            filled = jnp.arange(keep.shape[0]) < jnp.sum(keep)
            match = scale * jnp.sum(anchor * own, axis=1)
            total += jax.nn.softplus(sums(anchor, shuffled, where_y=filled).rows - match)
    return numerics.zero_absent(total / len(arrays), keep)


def _shuffles(key: PRNGKeyArray, keep: Bool[Array, "n"], num: int) -> Array:
    """Orders of the rows, shape [num, n], in each of which the kept rows come first, shuffled."""
    draws = jax.random.uniform(key, (num, keep.shape[0]))
    return jnp.argsort(jnp.where(keep, draws, 2), axis=1)


def _check_samples(
    name: str,
    xs: Sequence[ArrayLike],
    present: ArrayLike | None,
    where: ArrayLike | None,
) -> tuple[tuple[Array, ...], Bool[Array, "n m"]]:
    arrays = check_modalities(name, xs)
    shapes = [x.shape for x in arrays]
    if len(arrays) < 2 or {len(s) for s in shapes} != {2} or len({s[0] for s in shapes}) > 1:
        raise ValueError(
            f"{name}: `xs` must be two or more matrices with the same number of rows, got shapes "
            f"{shapes}; row i of each must be the same sample."
        )
    has = check_present(name, present, arrays)
    return arrays, has & check_where(name, where, shapes[0][:1])[:, None]
