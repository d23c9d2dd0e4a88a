"""What is compared, and what comes out of it."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class LogSums(NamedTuple):
    """What softmax losses need of a matrix of logits zᵢⱼ.

    Attributes:
      rows: log Σⱼ exp zᵢⱼ over the kept columns, shape [n]; 0 for dropped rows.
      columns: log Σᵢ exp zᵢⱼ over the kept rows, shape [m]; 0 for dropped columns.
      matches: The logit of each row and the column that matches it, shape [n]; 0 where either
        is dropped.
    """

    rows: Float[Array, "n"]
    columns: Float[Array, "m"]
    matches: Float[Array, "n"]


class LabelLogSums(NamedTuple):
    """What softmax losses with several matches need of a matrix of logits zᵢⱼ.

    Attributes:
      rows: As in `LogSums`, shape [n].
      columns: As in `LogSums`, shape [m].
      row_matches: Sum of the logits of each row and the kept columns of its label, shape [n].
      column_matches: Sum of the logits of each column and the kept rows of its label, shape [m].
      row_counts: Number of such columns, shape [n].
      column_counts: Number of such rows, shape [m].
    """

    rows: Float[Array, "n"]
    columns: Float[Array, "m"]
    row_matches: Float[Array, "n"]
    column_matches: Float[Array, "m"]
    row_counts: Int[Array, "n"]
    column_counts: Int[Array, "m"]

    def cross_entropies(self) -> tuple[Float[Array, "n"], Float[Array, "m"]]:
        """Log-sums minus the mean of the logits that match, of rows and columns; 0 without any."""
        rows = _cross_entropy(self.rows, self.row_matches, self.row_counts)
        return rows, _cross_entropy(self.columns, self.column_matches, self.column_counts)


class SoftplusSums(NamedTuple):
    """What sigmoid losses need of a matrix of logits zᵢⱼ.

    Attributes:
      rows: Σⱼ log(1 + exp zᵢⱼ) over the kept columns, shape [n]; 0 for dropped rows.
      matches: As in `LogSums`.
    """

    rows: Float[Array, "n"]
    matches: Float[Array, "n"]


class Sums(NamedTuple):
    """What an implementation of either kind of log-sums finds, or the slopes of it.

    Attributes:
      rows: As in `LogSums`.
      columns: As in `LogSums`.
      row_matches: Logits of the one match of each row, or as in `LabelLogSums`.
      column_matches: As in `LabelLogSums`; None without labels.
    """

    rows: Float[Array, "n"]
    columns: Float[Array, "m"]
    row_matches: Float[Array, "n"]
    column_matches: Any = None


class Sides(NamedTuple):
    """Two sets of rows and how they are compared.

    Attributes:
      x: Rows of the first side, zeros where dropped.
      y: Rows of the second side, zeros where dropped.
      scale: What the scores are multiplied by.
      bias: What is added to the product; 0 for log-sums.
      keep_x: True = keep.
      keep_y: True = keep.
      match: The row of y that belongs to each row of x, [n]; None for sums by label.
      exclude: The row of y that each row of x is not compared with, [n], or None.
      labels: Labels of the rows of x, [n], and of y, [m]; or of x the row of each in a matrix of
        matches, [n], and that matrix, [·, m]; None for sums with one match.
    """

    x: Float[Array, "n d"]
    y: Float[Array, "m d"]
    scale: Float[Array, ""]
    bias: Float[Array, ""]
    keep_x: Bool[Array, "n"]
    keep_y: Bool[Array, "m"]
    match: Any = None
    exclude: Any = None
    labels: Any = None

    def compared(self) -> Bool[Array, "n m"]:
        """True where both are kept and the pair is not excluded."""
        both = self.keep_x[:, None] & self.keep_y
        if self.exclude is None:
            return both
        return both & (jnp.arange(len(self.keep_y)) != self.exclude[:, None])

    def of_rows(self, values: Float[Array, "n"]) -> Float[Array, "n"]:
        """`values` with zeros for rows that are dropped."""
        return jnp.where(self.keep_x, values, 0)

    def of_columns(self, values: Float[Array, "m"]) -> Float[Array, "m"]:
        """`values` with zeros for columns that are dropped."""
        return jnp.where(self.keep_y, values, 0)

    def of_matches(self, values: Float[Array, "n"]) -> Float[Array, "n"]:
        """`values` with zeros for pairs of which one side is dropped, or that are excluded."""
        compared = self.keep_x & self.keep_y[self.match]
        if self.exclude is not None:
            compared &= self.match != self.exclude
        return jnp.where(compared, values, 0)


def same_label(label_x: Int[Array, "n"], label_y: Array) -> Bool[Array, "n m"]:
    """True where the labels agree, or where a matrix of matches says so."""
    return label_x[:, None] == label_y if label_y.ndim == 1 else label_y[label_x]


def _cross_entropy(
    log_sums: Float[Array, "n"], matches: Float[Array, "n"], counts: Int[Array, "n"]
) -> Float[Array, "n"]:
    mean = matches / jnp.maximum(counts, 1).astype(matches.dtype)
    return jnp.where(counts > 0, log_sums - mean, 0)
