"""The matrix products of a slab, in the dtype of its operands and accumulated in float32."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def product(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """X·Yᵀ."""
    return _contract(x, y, 1, 1)


def combine(weights: Float[Array, "n m"], y: Float[Array, "m d"]) -> Float[Array, "n d"]:
    """W·Y, with W in the dtype of y: sums of the rows of y."""
    return _contract(weights.astype(y.dtype), y, 1, 0)


def _contract(x: Array, y: Array, axis_x: int, axis_y: int) -> Array:
    return jax.lax.dot_general(
        x,
        y,
        (((axis_x,), (axis_y,)), ((), ())),
        # Operands that are float32 are meant to be; no accelerator is to shorten them.
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=np.promote_types(x.dtype, jnp.float32),
    )
