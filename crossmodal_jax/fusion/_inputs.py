"""What operators of this room share: checks, clean inputs, products, first kernels."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_modalities, check_present
from crossmodal_jax._typing import ArrayLike


def clean_inputs(
    name: str, xs: Sequence[ArrayLike], present: ArrayLike | None
) -> tuple[tuple[Array, ...], Bool[Array, "*batch m"]]:
    """Returns modalities of one batch shape and dtype, absent entries zero, and their presence.

    `name` is the operator, for the errors. Nothing after this call can meet the payload of an
    absent entry, so neither its value nor its gradient can.
    """
    xs, mask = check_inputs(name, xs, present)
    return (xs if present is None else zero_all_absent(xs, mask)), mask


def check_inputs(
    name: str, xs: Sequence[ArrayLike], present: ArrayLike | None
) -> tuple[tuple[Array, ...], Bool[Array, "*batch m"]]:
    """Returns what `clean_inputs` does, but the payload of absent entries is still there."""
    xs = check_modalities(name, xs)
    mask = check_present(name, present, xs)
    dtype = common_dtype(xs)
    xs = tuple(jnp.broadcast_to(x, (*mask.shape[:-1], x.shape[-1])).astype(dtype) for x in xs)
    return xs, mask


def zero_all_absent(
    xs: Sequence[Array], mask: Bool[Array, "*batch m"]
) -> tuple[Float[Array, "..."], ...]:
    """Returns modalities [*batch, d_m] with zeros for absent entries."""
    return tuple(numerics.zero_absent(x, mask[..., m]) for m, x in enumerate(xs))


def stack_inputs(
    name: str, xs: Sequence[ArrayLike], present: ArrayLike | None
) -> tuple[Float[Array, "*batch m d"], Bool[Array, "*batch m"]]:
    """Returns modalities of one width as one array, cleaned as by `clean_inputs`, and presence."""
    arrays, mask = clean_inputs(name, xs, present)
    widths = [x.shape[-1] for x in arrays]
    if len(set(widths)) > 1:
        raise ValueError(
            f"{name}: all modalities must have one width d, got {widths}; "
            "map them into one space first."
        )
    return jnp.stack(arrays, axis=-2), mask


def check_kernels(name: str, xs: Sequence[Array], kernels: Sequence[Array]) -> None:
    """Raises a ValueError unless there is one kernel [d_m, dim] for each modality [*batch, d_m]."""
    widths = tuple(x.shape[-1] for x in xs)
    shapes = tuple(kernel.shape for kernel in kernels)
    if widths != tuple(shape[0] for shape in shapes):
        raise ValueError(
            f"{name}: `weights` must have one kernel [d_m, dim] per modality, got kernels "
            f"{list(shapes)} for modalities of width {list(widths)}; "
            f"make them with init_{name}(key, {widths}, dim)."
        )


def check_dims(name: str, dims: Sequence[int], dim: int) -> None:
    """Raises a ValueError unless `dims` and `dim` are positive widths."""
    if len(dims) == 0 or min(*dims, dim) < 1:
        raise ValueError(
            f"init_{name}: `dims` must have one positive width per modality and `dim` must be "
            f"positive, got dims={tuple(dims)} and dim={dim}; pass the last axes of the inputs."
        )


def check_positive(name: str, **counts: int) -> None:
    """Raises a ValueError unless all `counts` are at least 1."""
    for argument, count in counts.items():
        if count < 1:
            raise ValueError(
                f"{name}: `{argument}` must be at least 1, got {count}; "
                "leave it out for the default."
            )


def common_dtype(xs: Sequence[Array]) -> jnp.dtype:
    """Returns the dtype in which all modalities meet."""
    # A user may forbid implicit promotion; this one is explicit.
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*xs)


def linear(
    x: Float[Array, "*batch d"], kernel: Float[Array, "d dim"]
) -> Float[Array, "*batch dim"]:
    """Returns x·kernel with operands in the dtype of `x`, accumulated in float32 at least."""
    # NumPy's rule, which holds while JAX is told to promote nothing.
    dtype = np.promote_types(x.dtype, np.float32)
    return jnp.matmul(x, kernel.astype(x.dtype), preferred_element_type=dtype)


def mix(
    shares: Float[Array, "*batch m #dim"], mapped: Sequence[Float[Array, "*batch dim"]]
) -> Float[Array, "*batch dim"]:
    """Returns Σᵢ sharesᵢ ⊙ mappedᵢ, term by term and so without a stack of the modalities."""
    terms = [shares[..., m, :].astype(f.dtype) * f for m, f in enumerate(mapped)]
    return functools.reduce(jnp.add, terms)


def condition(
    xs: Sequence[Array],
    mask: Bool[Array, "*batch m"],
    kernels: Sequence[Array],
    biases: Float[Array, "m_less_1 width"],
) -> Float[Array, "*batch width"]:
    """Returns Σ_{i≥2} mᵢ (xᵢKᵢ + bᵢ), what the first of clean inputs is told by the others.

    With kernels Kᵢ of shapes [d_i, width] this is a linear map of
    [m₂x₂; …; m_M x_M; m₂; …; m_M]: zeros when all of them are absent, or when there are none.
    """
    dtype = np.promote_types(xs[0].dtype, np.float32)
    told = linear(mask[..., 1:].astype(dtype), biases)
    return functools.reduce(jnp.add, map(linear, xs[1:], kernels), told)


def scaled_normal(key: Array, shape: Sequence[int], gain: float = 1.0) -> Float[Array, "d ..."]:
    """Returns a kernel that multiplies the variance of its input, of width shape[0], by gain²."""
    return jax.random.normal(key, shape, jnp.float32) * (gain * shape[0] ** -0.5)
