"""The definitions: the whole matrix of logits at once."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax.kernels.pair_sums._sides import LogSums, Sides, SoftplusSums
from crossmodal_jax.kernels.pair_sums._tiles import product
from crossmodal_jax.numerics import masked_logsumexp, zero_absent


def log_sums(sides: Sides, *, precision: jnp.dtype) -> LogSums:
    """All logits in memory, [n, m]."""
    logits = _logits(sides, precision)
    kept = sides.keep_x[:, None] & sides.keep_y
    rows, columns = (masked_logsumexp(logits, kept, axis=axis) for axis in (1, 0))
    return LogSums(sides.of_rows(rows), sides.of_columns(columns), _matches(sides, logits))


def softplus_sums(sides: Sides, *, precision: jnp.dtype) -> SoftplusSums:
    """All logits in memory, [n, m]."""
    logits = _logits(sides, precision)
    rows = jnp.sum(zero_absent(jax.nn.softplus(logits).T, sides.keep_y), axis=0)
    return SoftplusSums(sides.of_rows(rows), _matches(sides, logits))


def _logits(sides: Sides, precision: jnp.dtype) -> Float[Array, "n m"]:
    scores = product(sides.x.astype(precision), sides.y.astype(precision))
    return sides.scale * scores + sides.bias


def _matches(sides: Sides, logits: Float[Array, "n m"]) -> Float[Array, "n"]:
    return sides.of_matches(jnp.take_along_axis(logits, sides.match[:, None], axis=1)[:, 0])
