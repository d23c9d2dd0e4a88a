"""Checks of arguments, with errors that say what, where, expected, got, and one way out."""

import difflib
import importlib
from collections.abc import Iterable, Sequence
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from crossmodal_jax._typing import ArrayLike


def nearest(value: str, options: Iterable[str]) -> str | None:
    """Returns the option most like `value`, or None if nothing is like it."""
    found = difflib.get_close_matches(value, list(options), n=1, cutoff=0.5)
    return found[0] if found else None


def check_choice(name: str, argument: str, value: str, options: Iterable[str]) -> str:
    """Returns `value` if it is one of `options`; else a ValueError with the nearest name."""
    options = list(options)
    if value in options:
        return value
    guess = nearest(value, options)
    hint = f"did you mean {guess!r}?" if guess else "choose one of them."
    known = ", ".join(map(repr, options))
    raise ValueError(f"{name}: `{argument}` must be one of {known}, got {value!r}; {hint}")


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports an optional module, or raises an ImportError that names the extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{purpose} needs the package {package!r}, which is not installed; "
            f"pip install 'crossmodal-jax[{extra}]'."
        ) from error


def check_modalities(name: str, xs: Sequence[ArrayLike], *, rank: int = 1) -> tuple[Array, ...]:
    """Returns `xs` as a tuple of arrays whose batch axes broadcast.

    The last `rank` axes of each belong to its modality: 1 for features [*batch, d_m], 2 for tokens
    [*batch, t_m, d_m].
    """
    if isinstance(xs, (jax.Array, np.ndarray)) or len(xs) == 0:
        got = f"one array of shape {xs.shape}" if not isinstance(xs, Sequence) else "none"
        raise ValueError(
            f"{name}: `xs` must be a sequence with one array per modality, got {got}; "
            "wrap a single modality as [x]."
        )
    arrays = tuple(jnp.asarray(x) for x in xs)
    flat = [m for m, x in enumerate(arrays) if x.ndim < rank]
    if flat and rank == 1:
        raise ValueError(
            f"{name}: every modality must have a feature axis, shape [*batch, d], got scalars for "
            f"modalities {flat}; reshape them to [1]."
        )
    if flat:
        shapes = [arrays[m].shape for m in flat]
        raise ValueError(
            f"{name}: every modality must have a token and a feature axis, shape [*batch, t, d], "
            f"got shapes {shapes} for modalities {flat}; give a vector one token, x[..., None, :]."
        )
    whole = [m for m, x in enumerate(arrays) if not jnp.issubdtype(x.dtype, jnp.floating)]
    if whole:
        dtypes = [str(arrays[m].dtype) for m in whole]
        raise TypeError(
            f"{name}: modalities must be floating point, got {dtypes} for modalities {whole}; "
            "convert them with x.astype(jnp.float32)."
        )
    _broadcast_batch(name, arrays, rank)
    return arrays


def _broadcast_batch(name: str, xs: Sequence[Array], rank: int) -> tuple[int, ...]:
    try:
        return jnp.broadcast_shapes(*(x.shape[:-rank] for x in xs))
    except ValueError:
        shapes = ", ".join(f"xs[{m}].shape={x.shape}" for m, x in enumerate(xs))
        raise ValueError(
            f"{name}: the leading batch axes of all modalities must broadcast, got {shapes}; "
            "row i of every modality must be the same sample."
        ) from None


def check_present(
    name: str, present: ArrayLike | None, xs: Sequence[Array], *, rank: int = 1
) -> Bool[Array, "*batch m"]:
    """Returns presence as Bool [*batch, m] for checked modalities `xs`; None means all present."""
    batch = _broadcast_batch(name, xs, rank)
    if present is None:
        return jnp.ones((*batch, len(xs)), bool)
    present = jnp.asarray(present)
    if present.dtype != jnp.bool_:
        raise TypeError(
            f"{name}: `present` must be boolean (True = has the modality), got {present.dtype}; "
            "convert it with present.astype(bool)."
        )
    expected = (*batch, len(xs))
    try:
        return jnp.broadcast_to(present, expected)
    except ValueError:
        raise ValueError(
            f"{name}: `present` must broadcast to [*batch, m] = {expected}, got "
            f"present.shape={present.shape}; its last axis has one entry per modality."
        ) from None


def check_where(
    name: str, where: ArrayLike | None, shape: tuple[int, ...], *, argument: str = "where"
) -> Bool[Array, "*shape"]:
    """Returns a mask as Bool of exactly `shape`; None means keep all."""
    if where is None:
        return jnp.ones(shape, bool)
    where = jnp.asarray(where)
    if where.dtype != jnp.bool_:
        raise TypeError(
            f"{name}: `{argument}` must be boolean (True = keep), got {where.dtype}; "
            f"convert it with {argument}.astype(bool)."
        )
    if where.shape != shape:
        raise ValueError(
            f"{name}: `{argument}` must have shape {shape}, got {argument}.shape={where.shape}; "
            "it has one entry per row."
        )
    return where


def check_numbers(name: str, argument: str, numbers: ArrayLike, num: int) -> Int[Array, "num"]:
    """Returns `numbers` as an array, which must be one whole number for each of `num` rows."""
    numbers = jnp.asarray(numbers)
    if numbers.shape != (num,) or not jnp.issubdtype(numbers.dtype, jnp.integer):
        raise ValueError(
            f"{name}: `{argument}` must be one whole number for each of {num} rows, got "
            f"{numbers.dtype} {numbers.shape}; pass Int [{num}]."
        )
    return numbers


def check_positives(name: str, positives: ArrayLike, shape: tuple[int, int]) -> Bool[Array, "n m"]:
    """Returns a matrix of that shape that tells for all pairs of rows whether they match."""
    positives = jnp.asarray(positives)
    if positives.shape != shape or positives.dtype != jnp.bool_:
        raise ValueError(
            f"{name}: `positives` must be boolean with shape [n, m] = {shape}, got "
            f"{positives.dtype} {positives.shape}; entry [i, j] tells whether x[i] matches y[j]."
        )
    return positives


def check_same_shape(name: str, **arrays: ArrayLike) -> tuple[Array, ...]:
    """Returns the named arrays, which must all have one shape."""
    converted = {key: jnp.asarray(x) for key, x in arrays.items()}
    if len({x.shape for x in converted.values()}) > 1:
        raise ValueError(
            f"{name}: {_names(converted)} must share one shape, got {_shapes(converted)}."
        )
    return tuple(converted.values())


def check_pairs(name: str, **arrays: ArrayLike) -> tuple[Array, ...]:
    """Returns the named arrays, which must be matrices [n, d_m] with the same rows n."""
    converted = {key: jnp.asarray(x) for key, x in arrays.items()}
    ranks = {x.ndim for x in converted.values()}
    if ranks != {2} or len({x.shape[0] for x in converted.values()}) > 1:
        raise ValueError(
            f"{name}: {_names(converted)} must be matrices with the same number of rows, got "
            f"{_shapes(converted)}; row i of each must be the same sample."
        )
    return tuple(converted.values())


def check_both_sides(name: str, x: ArrayLike, y: ArrayLike | None) -> tuple[Array, ...]:
    """Returns x and y, which must both be given and be matrices with the same rows."""
    if y is None:
        raise ValueError(f"{name}: `fit` must have both sides of the pairs, got only x; pass y.")
    return check_pairs(name, x=x, y=y)


def check_width(name: str, argument: str, x: ArrayLike, width: int) -> Array:
    """Returns `x` [*batch, width] as an array."""
    x = jnp.asarray(x)
    if x.ndim < 1 or x.shape[-1] != width:
        raise ValueError(
            f"{name}: `{argument}` must be [*batch, {width}] as fitted, got {argument}.shape="
            f"{x.shape}; keep the columns of the fit."
        )
    return x


def check_finite(name: str, **arrays: ArrayLike) -> None:
    """Raises a ValueError that lists the first five rows holding NaN or inf; host only."""
    for key, x in arrays.items():
        values = np.asarray(x)
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        bad = np.flatnonzero(~finite)
        if bad.size:
            raise ValueError(
                f"{name}: `{key}` must be finite, got NaN or inf in {bad.size} of {len(values)} "
                f"rows (first: {bad[:5].tolist()}); drop them or mark them as absent."
            )


def _names(arrays: dict[str, Array]) -> str:
    return " and ".join(f"`{key}`" for key in arrays)


def _shapes(arrays: dict[str, Array]) -> str:
    return ", ".join(f"{key}.shape={x.shape}" for key, x in arrays.items())
