"""The definitions: the whole matrix of logits at once."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax.kernels.pair_sums._sides import Sides, SoftplusSums, Sums, same_label
from crossmodal_jax.kernels.pair_sums._tiles import product
from crossmodal_jax.numerics import masked_logsumexp, zero_absent


def log_sums(sides: Sides, *, precision: jnp.dtype) -> Sums:
    """All logits in memory, [n, m]."""
    logits = _logits(sides, precision)
    rows, columns = (_log_sum(sides, logits, axis) for axis in (1, 0))
    if sides.labels is None:
        return Sums(rows, columns, _matches(sides, logits))
    matching = zero_absent(logits, same_label(*sides.labels) & sides.compared())
    return Sums(rows, columns, jnp.sum(matching, axis=1), jnp.sum(matching, axis=0))


def softplus_sums(sides: Sides, *, precision: jnp.dtype) -> SoftplusSums:
    """All logits in memory, [n, m]."""
    logits = _logits(sides, precision)
    rows = jnp.sum(zero_absent(jax.nn.softplus(logits), sides.compared()), axis=1)
    return SoftplusSums(rows, _matches(sides, logits))


def _log_sum(sides: Sides, logits: Float[Array, "n m"], axis: int) -> Float[Array, "k"]:
    compared = sides.compared()
    sums = masked_logsumexp(logits, compared, axis=axis)
    return zero_absent(sums, jnp.any(compared, axis=axis))


def _logits(sides: Sides, precision: jnp.dtype) -> Float[Array, "n m"]:
    scores = product(sides.x.astype(precision), sides.y.astype(precision))
    return sides.scale * scores + sides.bias


def _matches(sides: Sides, logits: Float[Array, "n m"]) -> Float[Array, "n"]:
    return sides.of_matches(jnp.take_along_axis(logits, sides.match[:, None], axis=1)[:, 0])
