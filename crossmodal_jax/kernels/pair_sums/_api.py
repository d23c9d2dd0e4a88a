"""Sums over pairs: checks of the arguments and choice of the implementation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels._dispatch import dispatch
from crossmodal_jax.kernels.pair_sums import _log_sums_streamed, _softplus_sums_streamed, _xla
from crossmodal_jax.kernels.pair_sums._sides import LogSums, Sides, SoftplusSums
from crossmodal_jax.numerics import zero_absent

# Up to so many logits (16 MiB in float32) the plain implementation is as good, and any derivative
# of it exists.
_FEW = 2**22


def _log_sums_mosaic(sides: Sides, *, precision: jnp.dtype) -> LogSums:
    from crossmodal_jax.kernels.pair_sums import _mosaic

    return _mosaic.log_sums(sides, precision=precision)


def _softplus_sums_mosaic(sides: Sides, *, precision: jnp.dtype) -> SoftplusSums:
    from crossmodal_jax.kernels.pair_sums import _mosaic

    return _mosaic.softplus_sums(sides, precision=precision)


_LOG_SUMS = {
    "xla": _xla.log_sums,
    "mosaic": _log_sums_mosaic,
    "streamed": _log_sums_streamed.log_sums,
}
_SOFTPLUS_SUMS = {
    "xla": _xla.softplus_sums,
    "mosaic": _softplus_sums_mosaic,
    "streamed": _softplus_sums_streamed.softplus_sums,
}


def log_sums(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    scale: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
    matches: Int[ArrayLike, "n"] | None = None,
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
      precision: Dtype of the operands of the matrix products, such as `"bfloat16"`, whose results
        are accumulated in float32; None for that of x and y.
      implementation: `"xla"` (all logits in memory), `"streamed"` (slabs of rows; memory linear
        in n and m, for the gradient too, which exists once and in reverse mode), `"mosaic"` (the
        same by kernels for GPUs of compute capability 9.0, such as the H100, with precision
        bfloat16; shared out among devices by `shard_map` only), or a sequence of them; None takes
        the first for up to 2²² logits, beyond that the last where it can run, else the second.

    Returns:
      `LogSums(rows, columns, matches)` of shapes [n], [m], [n], float32 at least, 0 where dropped.

    Raises:
      ValueError: If x and y are not matrices of one width, a mask or `matches` has another length,
        m < n without `matches`, or `implementation` is unknown.
      NotImplementedError: If no implementation asked for can run here.

    Examples:
      >>> import jax.numpy as jnp
      >>> sums = log_sums(jnp.eye(2), jnp.eye(2), scale=0.0)
      >>> print(jnp.exp(sums.rows), jnp.exp(sums.columns), sums.matches)
      [2. 2.] [2. 2.] [0. 0.]
    """
    sides = _sides("log_sums", x, y, affine=(scale, 0.0), masks=(where, where_y), matches=matches)
    return _run("log_sums", _LOG_SUMS, sides, precision, implementation)


def softplus_sums(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    scale: Float[ArrayLike, ""] | float = 1.0,
    bias: Float[ArrayLike, ""] | float = 0.0,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
    matches: Int[ArrayLike, "n"] | None = None,
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
    sides = _sides(
        "softplus_sums", x, y, affine=(scale, bias), masks=(where, where_y), matches=matches
    )
    return _run("softplus_sums", _SOFTPLUS_SUMS, sides, precision, implementation)


def _sides(
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    *,
    affine: tuple[Any, Any],
    masks: tuple[ArrayLike | None, ArrayLike | None],
    matches: ArrayLike | None,
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
    match = _check_matches(name, matches, x.shape[0], y.shape[0])
    return Sides(zero_absent(x, keep_x), zero_absent(y, keep_y), scale, bias, keep_x, keep_y, match)


def _run(
    name: str,
    implementations: Mapping[str, Callable[..., Any]],
    sides: Sides,
    precision: str | jnp.dtype | None,
    implementation: str | Sequence[str] | None,
) -> Any:
    if implementation is None:
        few = sides.x.shape[0] * sides.y.shape[0] <= _FEW
        implementation = "xla" if few else ("mosaic", "streamed")
    if precision is None:
        precision = np.promote_types(sides.x.dtype, sides.y.dtype)
    precision = jnp.dtype(precision)
    return dispatch(name, implementations, implementation, sides, precision=precision)


def _check_matches(name: str, matches: ArrayLike | None, num_x: int, num_y: int) -> Int[Array, "n"]:
    if matches is None:
        if num_x > num_y:
            raise ValueError(
                f"{name}: without `matches` row i of y belongs to row i of x, so that y needs at "
                f"least {num_x} rows, got {num_y}; pass matches, Int [n]."
            )
        return jnp.arange(num_x)
    matches = jnp.asarray(matches)
    if matches.shape != (num_x,) or not jnp.issubdtype(matches.dtype, jnp.integer):
        raise ValueError(
            f"{name}: `matches` must be one row number of y for each of the {num_x} rows of x, "
            f"got {matches.dtype} {matches.shape}."
        )
    return matches
