"""The definition of the log-sums: the whole score matrix at once."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax.kernels.log_sums import _tiles
from crossmodal_jax.numerics import masked_logsumexp


class LogSums(NamedTuple):
    """What contrastive losses need of a matrix of logits zᵢⱼ.

    Attributes:
      rows: log Σⱼ exp zᵢⱼ over the kept columns, shape [n]; 0 for dropped rows.
      columns: log Σᵢ exp zᵢⱼ over the kept rows, shape [m]; 0 for dropped columns.
      matches: The logit of each row and the column that matches it, shape [n]; 0 where either
        is dropped.
    """

    rows: Float[Array, "n"]
    columns: Float[Array, "m"]
    matches: Float[Array, "n"]


class Sides(NamedTuple):
    """Two sets of rows and how they are compared.

    Attributes:
      x: Rows of the first side, zeros where dropped.
      y: Rows of the second side, zeros where dropped.
      scale: What the scores are multiplied by.
      keep_x: True = keep.
      keep_y: True = keep.
      match: The row of y that belongs to each row of x.
    """

    x: Float[Array, "n d"]
    y: Float[Array, "m d"]
    scale: Float[Array, ""]
    keep_x: Bool[Array, "n"]
    keep_y: Bool[Array, "m"]
    match: Int[Array, "n"]

    def kept(self, sums: LogSums) -> LogSums:
        """`sums` with zeros for what is dropped, or compared with nothing."""
        some = jnp.any(self.keep_x) & jnp.any(self.keep_y)
        return LogSums(
            jnp.where(self.keep_x & some, sums.rows, 0),
            jnp.where(self.keep_y & some, sums.columns, 0),
            jnp.where(self.keep_x & self.keep_y[self.match], sums.matches, 0),
        )


def log_sums(sides: Sides, *, precision: jnp.dtype) -> LogSums:
    """All logits in memory, [n, m]."""
    logits = sides.scale * _tiles.product(sides.x.astype(precision), sides.y.astype(precision))
    kept = sides.keep_x[:, None] & sides.keep_y
    rows, columns = (masked_logsumexp(logits, kept, axis=axis) for axis in (1, 0))
    own = jnp.take_along_axis(logits, sides.match[:, None], axis=1)[:, 0]
    return sides.kept(LogSums(rows, columns, own))
