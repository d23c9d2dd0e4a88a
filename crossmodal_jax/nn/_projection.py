"""The linear transform T of a learned model."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike


class Projection(nnx.Module):
    """Linear map T(x) = xK + b.

    Args:
      dim_in: Width of the inputs.
      dim_out: Width of the result.
      rngs: Random streams; `params` draws the kernel.

    Attributes:
      kernel: K, shape [dim_in, dim_out], entries of variance 1/dim_in at first.
      bias: b, shape [dim_out], zeros at first.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> print(Projection(3, 2, rngs=nnx.Rngs(0))(jnp.ones((5, 3))).shape)
      (5, 2)
    """

    def __init__(self, dim_in: int, dim_out: int, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(initial_kernel(rngs.params(), dim_in, dim_out))
        self.bias = nnx.Param(jnp.zeros(dim_out, jnp.float32))

    def __call__(self, x: Float[ArrayLike, "*batch dim_in"]) -> Float[Array, "*batch dim_out"]:
        """Maps `x`, shape [*batch, dim_in], to shape [*batch, dim_out] in the dtype of `x`.

        Raises:
          ValueError: If the width of `x` is not `dim_in`.
        """
        x = check_width("Projection", x, self.kernel[...])
        return linear(x, self.kernel[...], self.bias[...]).astype(x.dtype)


def initial_kernel(key: Array, dim_in: int, dim_out: int) -> Float[Array, "dim_in dim_out"]:
    """Returns a random kernel that keeps the variance of its input."""
    return jax.random.normal(key, (dim_in, dim_out), jnp.float32) * dim_in**-0.5


def check_width(name: str, x: ArrayLike, kernel: Array) -> Array:
    """Returns `x` as an array, or raises a ValueError if it is not [*batch, dim_in]."""
    x = jnp.asarray(x)
    if x.ndim < 1 or x.shape[-1] != kernel.shape[0]:
        raise ValueError(
            f"{name}: `x` must have shape [*batch, {kernel.shape[0]}], got x.shape={x.shape}; "
            "the last axis is the width given as `dim_in`."
        )
    return x


def linear(
    x: Float[Array, "*batch d"],
    kernel: Float[Array, "d dim"],
    bias: Float[Array, "dim"] | None = None,
) -> Float[Array, "*batch dim"]:
    """Returns x·kernel + bias: operands in the dtype of `x`, result in float32 at least."""
    dtype = np.promote_types(x.dtype, np.float32)
    product = jnp.matmul(x, kernel.astype(x.dtype), preferred_element_type=dtype)
    return product if bias is None else product + bias.astype(dtype)
