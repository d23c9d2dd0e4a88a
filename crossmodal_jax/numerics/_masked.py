"""Reductions over the kept entries only.

In all of them `where` is True for the entries that count and broadcasts against `x`. What a
dropped entry holds, NaN and inf included, changes no value and no gradient, and a reduction
over nothing is finite (or −inf for a log of nothing) with gradient 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike


def zero_absent(
    x: Float[ArrayLike, "*lead_and_rest"], where: Bool[ArrayLike, "*lead"]
) -> Float[Array, "*lead_and_rest"]:
    """Replaces the payload of absent entries by 0, before any arithmetic touches it.

    A mask applied after a product leaves 0 · NaN in the gradient; applied to the input it
    leaves nothing.

    Args:
      x: Values, shape [*lead, *rest].
      where: True where the entry is present, shape [*lead].

    Returns:
      x where present, else 0, shape [*lead, *rest].

    Examples:
      >>> import jax.numpy as jnp
      >>> print(zero_absent(jnp.array([[1.0, 2.0], [jnp.nan, 3.0]]), jnp.array([True, False])))
      [[1. 2.]
       [0. 0.]]
    """
    x, where = jnp.asarray(x), jnp.asarray(where)
    return jnp.where(where.reshape(where.shape + (1,) * (x.ndim - where.ndim)), x, 0)


def masked_sum(
    x: Float[ArrayLike, "*shape"],
    where: Bool[ArrayLike, "..."],
    *,
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Sum of the kept entries; 0 if there are none.

    Args:
      x: Values, shape [*shape].
      where: True = keep, a shape that broadcasts to [*shape].
      axis: The axes that are reduced; None for all.

    Returns:
      The sums, shape [*shape] without `axis`, in the dtype of `x`, accumulated in float32
      at least.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(masked_sum(jnp.array([1.0, jnp.nan, 3.0]), jnp.array([True, False, True])))
      4.0
    """
    x = jnp.asarray(x)
    return _sum(jnp.where(where, x, 0), axis).astype(x.dtype)


def masked_mean(
    x: Float[ArrayLike, "*shape"],
    where: Bool[ArrayLike, "..."],
    *,
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Mean of the kept entries; 0 if there are none.

    Args:
      x: Values, shape [*shape].
      where: True = keep, a shape that broadcasts to [*shape].
      axis: The axes that are reduced; None for all.

    Returns:
      The means, shape [*shape] without `axis`, in the dtype of `x`.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(masked_mean(jnp.array([1.0, jnp.inf, 3.0]), jnp.array([True, False, True])))
      2.0
    """
    x = jnp.asarray(x)
    return _mean(x, where, axis, keepdims=False).astype(x.dtype)


def masked_var(
    x: Float[ArrayLike, "*shape"],
    where: Bool[ArrayLike, "..."],
    *,
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Variance of the kept entries about their mean, divided by their number; 0 if none.

    Two passes: the mean first, then the mean of squared deviations, so that a large mean
    costs no digits.

    Args:
      x: Values, shape [*shape].
      where: True = keep, a shape that broadcasts to [*shape].
      axis: The axes that are reduced; None for all.

    Returns:
      The variances, shape [*shape] without `axis`, in the dtype of `x`.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(masked_var(jnp.array([1.0, jnp.nan, 3.0]), jnp.array([True, False, True])))
      1.0
    """
    x = jnp.asarray(x)
    mean = _mean(x, where, axis, keepdims=True)
    centred = jnp.where(where, x, 0).astype(mean.dtype) - mean
    return _mean(centred * centred, where, axis, keepdims=False).astype(x.dtype)


def masked_max(
    x: Float[ArrayLike, "*shape"],
    where: Bool[ArrayLike, "..."],
    *,
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Largest kept entry; 0 if there are none.

    Args:
      x: Values, shape [*shape].
      where: True = keep, a shape that broadcasts to [*shape].
      axis: The axes that are reduced; None for all.

    Returns:
      The maxima, shape [*shape] without `axis`, in the dtype of `x`.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(masked_max(jnp.array([-2.0, jnp.nan, -3.0]), jnp.array([True, False, True])))
      -2.0
    """
    x = jnp.asarray(x)
    keep = jnp.broadcast_to(where, x.shape)
    largest = jnp.max(jnp.where(keep, x, -jnp.inf), axis=axis)
    return jnp.where(jnp.any(keep, axis=axis), largest, 0)


def masked_min(
    x: Float[ArrayLike, "*shape"],
    where: Bool[ArrayLike, "..."],
    *,
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Smallest kept entry; 0 if there are none.

    Args:
      x: Values, shape [*shape].
      where: True = keep, a shape that broadcasts to [*shape].
      axis: The axes that are reduced; None for all.

    Returns:
      The minima, shape [*shape] without `axis`, in the dtype of `x`.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(masked_min(jnp.array([2.0, jnp.nan, 3.0]), jnp.array([True, False, True])))
      2.0
    """
    return -masked_max(-jnp.asarray(x), where, axis=axis)


def masked_softmax(
    logits: Float[ArrayLike, "*shape"], where: Bool[ArrayLike, "..."], *, axis: int = -1
) -> Float[Array, "*shape"]:
    """Softmax over the kept entries; dropped entries get weight 0, as do all if none is kept.

    Args:
      logits: Unnormalised log-weights, shape [*shape].
      where: True = keep, a shape that broadcasts to [*shape].
      axis: The axis along which the weights add up to 1.

    Returns:
      The weights, shape [*shape], in the dtype of `logits`; computed in float32 at least.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(masked_softmax(jnp.array([0.0, jnp.nan, 0.0]), jnp.array([True, False, True])))
      [0.5 0.  0.5]
    """
    logits = jnp.asarray(logits)
    exponentials, _ = _shifted_exp(logits, where, axis)
    total = jnp.sum(exponentials, axis=axis, keepdims=True)
    return (exponentials / jnp.where(total > 0, total, 1)).astype(logits.dtype)


def masked_logsumexp(
    x: Float[ArrayLike, "*shape"], where: Bool[ArrayLike, "..."], *, axis: int = -1
) -> Float[Array, "..."]:
    """log Σ exp(x) over the kept entries; −inf, with gradient 0, if none is kept.

    Args:
      x: Log-weights, shape [*shape].
      where: True = keep, a shape that broadcasts to [*shape].
      axis: The axis that is reduced.

    Returns:
      The log-sums, shape [*shape] without `axis`, in the dtype of `x`; computed in float32
      at least.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(masked_logsumexp(jnp.array([7.0, jnp.nan]), jnp.array([True, False])))
      7.0
    """
    x = jnp.asarray(x)
    exponentials, largest = _shifted_exp(x, where, axis)
    total = jnp.sum(exponentials, axis=axis)
    some = total > 0
    log_sum = jnp.log(jnp.where(some, total, 1)) + jnp.squeeze(largest, axis)
    return jnp.where(some, log_sum, -jnp.inf).astype(x.dtype)


def _shifted_exp(x: Array, where: ArrayLike, axis: int) -> tuple[Array, Array]:
    """Returns exp(x − max) with 0 for dropped entries, and the maximum of the kept ones."""
    x = x.astype(np.promote_types(x.dtype, jnp.float32))
    keep = jnp.broadcast_to(where, x.shape)
    largest = jax.lax.stop_gradient(jnp.max(jnp.where(keep, x, -jnp.inf), axis=axis, keepdims=True))
    largest = jnp.where(jnp.isfinite(largest), largest, 0)
    shifted = jnp.where(keep, jnp.where(keep, x, 0) - largest, 0)
    return jnp.where(keep, jnp.exp(shifted), 0), largest


def _sum(x: Array, axis: int | tuple[int, ...] | None, *, keepdims: bool = False) -> Array:
    dtype = np.promote_types(x.dtype, jnp.float32)
    return jnp.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


def _mean(
    x: Array, where: ArrayLike, axis: int | tuple[int, ...] | None, *, keepdims: bool
) -> Array:
    keep = jnp.broadcast_to(where, x.shape)
    total = _sum(jnp.where(keep, x, 0), axis, keepdims=keepdims)
    count = jnp.sum(keep, axis=axis, dtype=total.dtype, keepdims=keepdims)
    return total / jnp.maximum(count, 1)
