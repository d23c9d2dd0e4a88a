"""Networks of several dense layers."""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._projection import Projection, check_width, linear


class MLP(nnx.Module):
    """Dense layers with GELU between them: f = P_L ∘ gelu ∘ P_{L−1} ∘ … ∘ gelu ∘ P₀.

    Args:
      dim_in: Width of the inputs.
      dim_hidden: Width of each hidden layer.
      dim_out: Width of the result.
      depth: Number L ≥ 1 of hidden layers.
      zero_last: Whether the last layer starts at zero, so that the network starts as the zero map.
      rngs: Random streams; `params` draws the kernels.

    Attributes:
      layers: The L + 1 linear maps P, each a `Projection`.

    Raises:
      ValueError: If `depth` or a width is below 1.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> print(MLP(3, 8, 2, rngs=nnx.Rngs(0))(jnp.ones((5, 3))).shape)
      (5, 2)
    """

    def __init__(
        self,
        dim_in: int,
        dim_hidden: int,
        dim_out: int,
        *,
        depth: int = 2,
        zero_last: bool = False,
        rngs: nnx.Rngs,
    ):
        if min(dim_in, dim_hidden, dim_out, depth) < 1:
            raise ValueError(
                "MLP: widths and `depth` must be at least 1, got dim_in="
                f"{dim_in}, dim_hidden={dim_hidden}, dim_out={dim_out}, depth={depth}; use "
                "Projection for a linear map."
            )
        widths = (dim_in, *(dim_hidden,) * depth, dim_out)
        pairs = itertools.pairwise(widths)
        self.layers = nnx.List([Projection(d, e, rngs=rngs) for d, e in pairs])
        if zero_last:
            last = self.layers[-1]
            last.kernel = nnx.Param(jnp.zeros_like(last.kernel[...]))

    def __call__(self, x: Float[ArrayLike, "*batch dim_in"]) -> Float[Array, "*batch dim_out"]:
        """Maps `x`, shape [*batch, dim_in], to shape [*batch, dim_out] in the dtype of `x`.

        Raises:
          ValueError: If the width of `x` is not `dim_in`.
        """
        x = check_width("MLP", x, self.layers[0].kernel[...])
        hidden = x
        for layer in self.layers[:-1]:
            hidden = jax.nn.gelu(linear(hidden, layer.kernel[...], layer.bias[...])).astype(x.dtype)
        last = self.layers[-1]
        return linear(hidden, last.kernel[...], last.bias[...]).astype(x.dtype)
