"""What every operator on tokens does first and last: clean, project, pool."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_modalities, check_present
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_kernels,
    check_positive,
    common_dtype,
    linear,
)
from crossmodal_jax.fusion._transformer import NormWeights, layer_norm

# Standard deviation of learned tokens at the start: what they take in then outweighs them.
TOKEN_SCALE = 0.02


def clean_tokens(
    name: str,
    xs: Sequence[ArrayLike],
    present: ArrayLike | None,
    where: Sequence[ArrayLike | None] | None,
) -> tuple[tuple[Array, ...], tuple[Bool[Array, "..."], ...]]:
    """Returns modalities of one batch shape and dtype, and which of their tokens exist.

    A token exists if `where` of its modality says so and the modality is present. All others are
    zero after this call, so that neither a value nor a gradient can meet their payload.
    """
    xs = check_modalities(name, xs, rank=2)
    mask = check_present(name, present, xs, rank=2)
    batch, dtype = mask.shape[:-1], common_dtype(xs)
    xs = tuple(jnp.broadcast_to(x, (*batch, *x.shape[-2:])).astype(dtype) for x in xs)
    masks = _check_token_masks(name, where, xs)
    masks = tuple(mask[..., m, None] & tokens for m, tokens in enumerate(masks))
    if present is None and where is None:
        return xs, masks
    return tuple(map(numerics.zero_absent, xs, masks)), masks


def _check_token_masks(
    name: str, where: Sequence[ArrayLike | None] | None, xs: Sequence[Array]
) -> tuple[Bool[Array, "..."], ...]:
    if where is None:
        where = [None] * len(xs)
    array = isinstance(where, jax.Array | np.ndarray)
    if array or len(where) != len(xs):
        got = f"one array of shape {np.shape(where)}" if array else f"{len(where)} entries"
        raise ValueError(
            f"{name}: `where` must be a sequence with one mask or None per modality, "
            f"{len(xs)} of them, got {got}; None means that every token exists."
        )
    return tuple(_check_token_mask(name, m, where[m], x.shape[:-1]) for m, x in enumerate(xs))


def _check_token_mask(
    name: str, m: int, where: ArrayLike | None, shape: tuple[int, ...]
) -> Bool[Array, "*batch t_m"]:
    if where is None:
        return jnp.ones(shape, bool)
    where = jnp.asarray(where)
    if where.dtype != jnp.bool_:
        raise TypeError(
            f"{name}: `where` must be boolean (True = the token exists), got {where.dtype} for "
            f"modality {m}; convert it with where.astype(bool)."
        )
    try:
        return jnp.broadcast_to(where, shape)
    except ValueError:
        raise ValueError(
            f"{name}: `where` of modality {m} must broadcast to [*batch, t] = {shape}, got shape "
            f"{where.shape}; it has one entry per token."
        ) from None


def check_options(name: str, dims: Sequence[int], dim: int, **counts: int) -> None:
    """Raises a ValueError unless the widths suit a transformer and every count is positive."""
    check_dims(name, dims, dim)
    if dim < 2:
        raise ValueError(
            f"init_{name}: `dim` must be at least 2, for the layer norm of one number is constant, "
            f"got dim={dim}; make it wider and map the result."
        )
    check_positive(f"init_{name}", **counts)


def init_projection(
    key: Array, dims: Sequence[int], dim: int
) -> tuple[tuple[Float[Array, "..."], ...], Float[Array, "m dim"]]:
    """Returns kernels and biases that take tokens of variance 1 to tokens of variance 1."""
    keys = jax.random.split(key, len(dims))
    kernels = tuple(
        jax.random.normal(keys[m], (d, dim), jnp.float32) * d**-0.5 for m, d in enumerate(dims)
    )
    return kernels, jnp.zeros((len(dims), dim), jnp.float32)


def project(
    name: str,
    xs: Sequence[Float[Array, "..."]],
    kernels: Sequence[Float[Array, "..."]],
    biases: Float[Array, "m dim"],
) -> list[Float[Array, "..."]]:
    """Returns the tokens of all modalities in one space; the bias tells one from another."""
    check_kernels(name, xs, kernels)
    projected = [linear(x, kernel) for x, kernel in zip(xs, kernels, strict=True)]
    return [(y + biases[m].astype(y.dtype)).astype(xs[m].dtype) for m, y in enumerate(projected)]


def join(
    tokens: Sequence[Float[Array, "..."]], masks: Sequence[Bool[Array, "..."]]
) -> tuple[Float[Array, "*batch t dim"], Bool[Array, "*batch t"]]:
    """Returns the tokens of several modalities as one sequence, and which of them exist."""
    return jnp.concatenate(tokens, axis=-2), jnp.concatenate(masks, axis=-1)


def positions(mask: Bool[Array, "*batch t"], tokens: Float[Array, "*batch t dim"]) -> Array:
    """Returns the position of each token as sines and cosines, shape and dtype of `tokens`.

    It is the number of tokens before it that exist, so that padding may stand anywhere.
    """
    # NumPy's rule, which holds while JAX is told to promote nothing.
    dtype = np.promote_types(tokens.dtype, np.float32)
    dim = tokens.shape[-1]
    half = -(-dim // 2)
    rates = jnp.asarray(1e4 ** (-np.arange(half) / half), dtype)
    order = jnp.cumsum(mask, axis=-1, dtype=jnp.int32) - 1
    angles = order.astype(dtype)[..., None] * rates
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return waves[..., :dim].astype(tokens.dtype)


def pool(
    x: Float[Array, "*batch t dim"], mask: Bool[Array, "*batch t"], norm: NormWeights
) -> Float[Array, "*batch dim"]:
    """Returns the layer norm of the mean of the tokens that exist; zeros where there are none.

    The norm comes after the mean, for the mean of T independent tokens has a variance of 1/T.
    """
    mean = numerics.masked_mean(x, mask[..., None], axis=-2)
    return numerics.zero_absent(layer_norm(mean, norm), jnp.any(mask, axis=-1))
