"""What losses of several files share: checks, and clean inputs in one dtype."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike


def clean_rows(
    name: str,
    arrays: Mapping[str, ArrayLike],
    where: ArrayLike | None,
    *,
    entries: ArrayLike | None = None,
    parameters: Mapping[str, ArrayLike | float] | None = None,
) -> tuple[list[Array], Bool[Array, "*batch d"]]:
    """Returns arrays [*batch, d] ready for arithmetic, and which of their entries are kept.

    They are in one dtype, float32 at least, and 0 where dropped. `arrays` must share one shape, to
    which `parameters` are broadcast; a number takes the dtype of the arrays.
    """
    known = {key: jnp.asarray(x) for key, x in arrays.items()}
    shape = next(iter(known.values())).shape
    if len(shape) < 1 or any(x.shape != shape for x in known.values()):
        names = " and ".join(f"`{key}`" for key in known)
        shapes = ", ".join(f"{key}.shape={x.shape}" for key, x in known.items())
        raise ValueError(
            f"{name}: {names} must share one shape [*batch, d], got {shapes}; flatten the features "
            "of a sample, and use jax.vmap where one side has more axes."
        )
    keep = check_where(name, where, shape[:-1])
    kept = keep[..., None] & check_entries(name, entries, shape)
    numbers = {key: x for key, x in (parameters or {}).items() if isinstance(x, int | float)}
    further = {k: jnp.asarray(x) for k, x in (parameters or {}).items() if k not in numbers}
    dtype = common_dtype(*known.values(), *further.values())
    for key in parameters or {}:
        value = further[key] if key in further else jnp.asarray(numbers[key], dtype)
        known[key] = _broadcast(name, key, value, shape)
    return [numerics.zero_absent(x.astype(dtype), kept) for x in known.values()], kept


def common_dtype(*arrays: Array) -> np.dtype:
    """Returns the dtype in which all of them are computed with: float32 at least."""
    dtype = np.dtype(np.float32)
    for x in arrays:
        dtype = np.promote_types(dtype, x.dtype)
    return dtype


def magnitude(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """|x| with gradient 0 at 0, where that of `jnp.abs` is 1."""
    return x * jnp.sign(x)


def check_entries(name: str, entries: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """Returns the mask of entries as Bool of exactly `shape`; None means keep all."""
    if entries is None:
        return jnp.ones(shape, bool)
    entries = jnp.asarray(entries)
    if entries.dtype != jnp.bool_ or entries.shape != shape:
        raise ValueError(
            f"{name}: `entries` must be boolean (True = keep) of shape {shape}, got "
            f"{entries.dtype} {entries.shape}; a mask of whole samples is `where`."
        )
    return entries


def _broadcast(name: str, key: str, x: Array, shape: tuple[int, ...]) -> Array:
    try:
        return jnp.broadcast_to(x, shape)
    except ValueError:
        raise ValueError(
            f"{name}: `{key}` must broadcast to [*batch, d] = {shape}, got {key}.shape={x.shape}; "
            "give one number, one for each feature, or one for each entry."
        ) from None
