"""What every operator of this room does first: check, clean, project."""

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
    xs = check_modalities(name, xs)
    mask = check_present(name, present, xs)
    dtype = common_dtype(xs)
    xs = tuple(jnp.broadcast_to(x, (*mask.shape[:-1], x.shape[-1])).astype(dtype) for x in xs)
    if present is None:
        return xs, mask
    return tuple(numerics.zero_absent(x, mask[..., m]) for m, x in enumerate(xs)), mask


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
