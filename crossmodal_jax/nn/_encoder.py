"""Encoders of one modality."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._projection import check_width, initial_kernel, linear


class MLPEncoder(nnx.Module):
    """One hidden layer beside a linear skip.

    f(x) = gelu(xA + a)B + xS + b. With the output kernel B at zero it is the linear map S, so a
    closed-form transform can be its starting point.

    Args:
      dim_in: Width of the inputs.
      dim_hidden: Width of the hidden layer.
      dim_out: Width of the result.
      rngs: Random streams; `params` draws the kernels.

    Attributes:
      hidden_kernel: A, shape [dim_in, dim_hidden].
      hidden_bias: a, shape [dim_hidden].
      out_kernel: B, shape [dim_hidden, dim_out].
      out_bias: b, shape [dim_out].
      skip_kernel: S, shape [dim_in, dim_out].

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> encoder = MLPEncoder(3, 8, 2, rngs=nnx.Rngs(0))
      >>> print(encoder(jnp.ones((5, 3))).shape)
      (5, 2)
    """

    def __init__(self, dim_in: int, dim_hidden: int, dim_out: int, *, rngs: nnx.Rngs):
        self.hidden_kernel = nnx.Param(initial_kernel(rngs.params(), dim_in, dim_hidden))
        self.hidden_bias = nnx.Param(jnp.zeros(dim_hidden, jnp.float32))
        self.out_kernel = nnx.Param(initial_kernel(rngs.params(), dim_hidden, dim_out))
        self.out_bias = nnx.Param(jnp.zeros(dim_out, jnp.float32))
        self.skip_kernel = nnx.Param(initial_kernel(rngs.params(), dim_in, dim_out))

    def __call__(
        self,
        x: Float[ArrayLike, "*batch dim_in"],
        *,
        key: Array | None = None,
        dropout: Float[ArrayLike, ""] | float = 0.0,
    ) -> Float[Array, "*batch dim_out"]:
        """Encodes `x`.

        Args:
          x: Inputs, shape [*batch, dim_in].
          key: Random key of the dropout; None for no dropout, as in evaluation.
          dropout: Probability in [0, 1) that a hidden unit is dropped; may be traced.

        Returns:
          The code, shape [*batch, dim_out], in the dtype of `x`.

        Raises:
          ValueError: If the width of `x` is not `dim_in`.
        """
        x = check_width("MLPEncoder", x, self.hidden_kernel[...])
        hidden = jax.nn.gelu(linear(x, self.hidden_kernel[...], self.hidden_bias[...]))
        if key is not None:
            hidden = _drop(key, hidden, dropout)
        code = linear(hidden.astype(x.dtype), self.out_kernel[...], self.out_bias[...])
        return (code + linear(x, self.skip_kernel[...])).astype(x.dtype)


def _drop(key: Array, x: Float[Array, "*batch d"], rate: ArrayLike | float) -> Array:
    """Zeroes entries with probability `rate` and scales the others by 1/(1 − rate)."""
    keep_rate = 1 - jnp.asarray(rate, x.dtype)
    keep = jax.random.bernoulli(key, keep_rate, x.shape)
    return jnp.where(keep, x / keep_rate, 0)
