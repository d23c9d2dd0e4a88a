"""Sums over pairs: checks of the arguments and choice of the implementation."""

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax._checks import check_numbers, check_positives, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels._dispatch import dispatch
from crossmodal_jax.kernels.pair_sums import (
    _log_sums_ring,
    _log_sums_streamed,
    _softplus_sums_ring,
    _softplus_sums_streamed,
    _xla,
)
from crossmodal_jax.kernels.pair_sums._counts import count_matches
from crossmodal_jax.kernels.pair_sums._ring import AxisName, ring_counts, varying
from crossmodal_jax.kernels.pair_sums._sides import LabelLogSums, LogSums, Sides, SoftplusSums, Sums
from crossmodal_jax.numerics import zero_absent

# Up to so many logits (16 MiB in float32) the plain implementation is as good, and any derivative
# of it exists.
_FEW = 2**22


def _log_sums_mosaic(sides: Sides, *, precision: jnp.dtype) -> Sums:
    from crossmodal_jax.kernels.pair_sums import _mosaic

    return Sums(*_mosaic.log_sums(sides, precision=precision))


def _softplus_sums_mosaic(sides: Sides, *, precision: jnp.dtype) -> SoftplusSums:
    from crossmodal_jax.kernels.pair_sums import _mosaic

    return _mosaic.softplus_sums(sides, precision=precision)


_LOG_SUMS = {
    "xla": _xla.log_sums,
    "streamed": _log_sums_streamed.log_sums,
    "mosaic": _log_sums_mosaic,
}
_SOFTPLUS_SUMS = {
    "xla": _xla.softplus_sums,
    "streamed": _softplus_sums_streamed.softplus_sums,
    "mosaic": _softplus_sums_mosaic,
}
_IMPLEMENTATIONS = {
    "log_sums": _LOG_SUMS,
    "label_log_sums": _LOG_SUMS,
    "softplus_sums": _SOFTPLUS_SUMS,
}
_RINGS = {
    "log_sums": _log_sums_ring.log_sums,
    "label_log_sums": _log_sums_ring.log_sums,
    "softplus_sums": _softplus_sums_ring.softplus_sums,
}


def log_sums(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    scale: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
    matches: Int[ArrayLike, "n"] | None = None,
    exclude: Int[ArrayLike, "n"] | None = None,
    axis_name: AxisName | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> LogSums:
    """Log-sums of the logits zᵢⱼ = s·⟨xᵢ, yⱼ⟩ over rows and over columns, and some logits.

    They are what softmax losses between two sets are made of: with row i of x and row i of y as
    pairs, InfoNCE is ½ (rowsᵢ + columnsᵢ) − matchesᵢ.

    Args:
      x: Rows of the first side, shape [n, d].
      y: Rows of the second side, shape [m, d].
      scale: The scale s; may be traced.
      where: Rows of x to keep, shape [n]. What a dropped row holds has no influence.
      where_y: Rows of y to keep, shape [m].
      matches: The row of y that belongs to each row of x, shape [n]; None for row i, and m ≥ n.
      exclude: A row of y that each row of x is not compared with, such as itself, shape [n]; −1,
        or None for all, for no such row.
      axis_name: Inside `jax.shard_map`, the axis or axes of the mesh over which the rows of both
        sides are spread: those given, and the sums, are the local ones, but all are compared with
        all. `matches` and `exclude` are local rows of y. Blocks of y travel around a ring of
        devices, in the backward pass too: collective-permutes, and nothing is gathered.
      precision: Dtype of the operands of the matrix products, such as `"bfloat16"`, whose results
        are accumulated in float32; None for that of x and y.
      implementation: `"xla"` (all logits in memory), `"streamed"` (slabs of rows; memory linear
        in n and m, for the gradient too, which exists once and in reverse mode), `"mosaic"` (the
        same by kernels for GPUs of compute capability 9.0, such as the H100, with precision
        bfloat16; tested by interpretation, and taken only by name), or a sequence of them; None
        takes the first for up to 2²² logits, else the second. A ring is streamed.

    Returns:
      `LogSums(rows, columns, matches)` of shapes [n], [m], [n], float32 at least, 0 where dropped
      or compared with nothing.

    Raises:
      ValueError: If x and y are not matrices of one width, a mask, `matches` or `exclude` has
        another length, m < n without `matches`, or `implementation` is unknown.
      NotImplementedError: If no implementation asked for can run here.

    Examples:
      >>> import jax.numpy as jnp
      >>> sums = log_sums(jnp.eye(2), jnp.eye(2), scale=0.0)
      >>> print(jnp.exp(sums.rows), jnp.exp(sums.columns), sums.matches)
      [2. 2.] [2. 2.] [0. 0.]
    """
    name = "log_sums"
    sides = _sides(name, x, y, affine=(scale, 0.0), masks=(where, where_y), exclude=exclude)
    sides = sides._replace(match=_check_matches(name, matches, sides))
    sums = _run(
        name, sides, axis_name=axis_name, precision=precision, implementation=implementation
    )
    return LogSums(sums.rows, sums.columns, sums.row_matches)


def label_log_sums(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    labels: Int[ArrayLike, "n"] | None = None,
    labels_y: Int[ArrayLike, "m"] | None = None,
    positives: Bool[ArrayLike, "n m"] | None = None,
    scale: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
    exclude: Int[ArrayLike, "n"] | None = None,
    axis_name: AxisName | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> LabelLogSums:
    """The log-sums of `log_sums`, and the sums of the logits of all pairs of one label.

    They are what softmax losses with several matches are made of: that of SupCon is
    rowsᵢ − row_matchesᵢ / row_countsᵢ.

    Args:
      x: Rows of the first side, shape [n, d].
      y: Rows of the second side, shape [m, d].
      labels: What the rows of x are, shape [n], any whole numbers.
      labels_y: What the rows of y are, shape [m]; those match whose labels are equal.
      positives: In place of labels, True where row i of x matches row j of y, shape [n, m].
      scale: As for `log_sums`.
      where: As for `log_sums`.
      where_y: As for `log_sums`.
      exclude: As for `log_sums`; what is excluded matches nothing.
      axis_name: As for `log_sums`; only with labels.
      precision: As for `log_sums`.
      implementation: As for `log_sums`.

    Returns:
      `LabelLogSums(rows, columns, row_matches, column_matches, row_counts, column_counts)` of
      shapes [n], [m], [n], [m], [n], [m], float32 at least and whole numbers, 0 where dropped or
      without a match.

    Raises:
      ValueError: As for `log_sums`, if the labels are not one whole number for each row, if
        `positives` is not boolean with shape [n, m], or unless either both labels or it is given.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.eye(3)
      >>> labels = jnp.array([7, 7, 5])
      >>> sums = label_log_sums(x, x, labels=labels, labels_y=labels, exclude=jnp.arange(3))
      >>> print(jnp.exp(sums.rows), sums.row_matches, sums.row_counts)
      [2. 2. 2.] [0. 0. 0.] [1 1 0]
    """
    name = "label_log_sums"
    sides = _sides(name, x, y, affine=(scale, 0.0), masks=(where, where_y), exclude=exclude)
    if positives is None:
        sides = sides._replace(labels=_check_labels(name, labels, labels_y, sides))
    elif labels is None and labels_y is None and axis_name is None:
        num_x, num_y = sides.x.shape[0], sides.y.shape[0]
        positives = check_positives(name, positives, (num_x, num_y))
        sides = sides._replace(labels=(jnp.arange(num_x), positives))
    else:
        raise ValueError(
            f"{name}: `positives` must stand alone, got labels or an axis_name beside it; pass "
            "labels, which may travel between devices."
        )
    sums = _run(
        name, sides, axis_name=axis_name, precision=precision, implementation=implementation
    )
    if axis_name is None:
        row_counts, column_counts = count_matches(sides)
    else:
        row_counts, column_counts = ring_counts(varying(sides, axis_name), axis_name)
    rows, columns, row_matches, column_matches = sums
    return LabelLogSums(rows, columns, row_matches, column_matches, row_counts, column_counts)


def softplus_sums(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    scale: Float[ArrayLike, ""] | float = 1.0,
    bias: Float[ArrayLike, ""] | float = 0.0,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
    matches: Int[ArrayLike, "n"] | None = None,
    exclude: Int[ArrayLike, "n"] | None = None,
    axis_name: AxisName | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> SoftplusSums:
    """Sums of log(1 + exp zᵢⱼ) of the logits zᵢⱼ = s·⟨xᵢ, yⱼ⟩ + b over rows, and some logits.

    They are what sigmoid losses between two sets are made of: with row i of x and row i of y as
    the only pairs that match, Σⱼ log(1 + exp(∓zᵢⱼ)) is rowsᵢ − matchesᵢ.

    Args:
      x: Rows of the first side, shape [n, d].
      y: Rows of the second side, shape [m, d].
      scale: The scale s; may be traced.
      bias: The bias b; may be traced.
      where: As for `log_sums`.
      where_y: As for `log_sums`.
      matches: As for `log_sums`.
      exclude: As for `log_sums`.
      axis_name: As for `log_sums`.
      precision: As for `log_sums`.
      implementation: As for `log_sums`.

    Returns:
      `SoftplusSums(rows, matches)` of shape [n] each, float32 at least, 0 where dropped.

    Raises:
      ValueError: As for `log_sums`.
      NotImplementedError: As for `log_sums`.

    Examples:
      >>> import jax.numpy as jnp
      >>> sums = softplus_sums(jnp.eye(2), jnp.eye(2), scale=0.0)
      >>> print(jnp.exp(sums.rows), sums.matches)
      [4. 4.] [0. 0.]
    """
    name = "softplus_sums"
    sides = _sides(name, x, y, affine=(scale, bias), masks=(where, where_y), exclude=exclude)
    sides = sides._replace(match=_check_matches(name, matches, sides))
    return _run(
        name, sides, axis_name=axis_name, precision=precision, implementation=implementation
    )


def _sides(
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    *,
    affine: tuple[Any, Any],
    masks: tuple[ArrayLike | None, ArrayLike | None],
    exclude: ArrayLike | None,
) -> Sides:
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{name}: `x` and `y` must be matrices [n, d] and [m, d] of one width, got "
            f"x.shape={x.shape} and y.shape={y.shape}; project both into one space first."
        )
    keep_x = check_where(name, masks[0], x.shape[:1])
    keep_y = check_where(name, masks[1], y.shape[:1])
    dtype = np.promote_types(np.promote_types(x.dtype, y.dtype), jnp.float32)
    scale, bias = (jnp.asarray(number, dtype) for number in affine)
    x, y = zero_absent(x, keep_x), zero_absent(y, keep_y)
    if exclude is not None:
        exclude = check_numbers(name, "exclude", exclude, x.shape[0])
    return Sides(x, y, scale, bias, keep_x, keep_y, exclude=exclude)


def _run(
    name: str,
    sides: Sides,
    *,
    axis_name: AxisName | None,
    precision: str | jnp.dtype | None,
    implementation: str | Sequence[str] | None,
) -> Any:
    if precision is None:
        precision = np.promote_types(sides.x.dtype, sides.y.dtype)
    precision = jnp.dtype(precision)
    sides = varying(sides, axis_name)
    if axis_name is not None:
        ring = {"streamed": functools.partial(_RINGS[name], axis_name=axis_name)}
        return dispatch(name, ring, implementation, sides, precision=precision)
    if implementation is None:
        few = sides.x.shape[0] * sides.y.shape[0] <= _FEW
        implementation = "xla" if few else "streamed"
    return dispatch(name, _IMPLEMENTATIONS[name], implementation, sides, precision=precision)


def _check_labels(
    name: str, labels: ArrayLike | None, labels_y: ArrayLike | None, sides: Sides
) -> tuple[Array, Array]:
    if labels is None or labels_y is None:
        raise ValueError(
            f"{name}: both `labels` and `labels_y` must be given, or `positives`, got neither or "
            "one; pass Int [n] and Int [m]."
        )
    return (
        check_numbers(name, "labels", labels, sides.x.shape[0]),
        check_numbers(name, "labels_y", labels_y, sides.y.shape[0]),
    )


def _check_matches(name: str, matches: ArrayLike | None, sides: Sides) -> Int[Array, "n"]:
    num_x, num_y = sides.x.shape[0], sides.y.shape[0]
    if matches is not None:
        return check_numbers(name, "matches", matches, num_x)
    if num_x > num_y:
        raise ValueError(
            f"{name}: without `matches` row i of y belongs to row i of x, so that y needs at "
            f"least {num_x} rows, got {num_y}; pass matches, Int [n]."
        )
    return jnp.arange(num_x)
