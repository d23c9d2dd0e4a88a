"""Learned fusion operators as modules: they store the weights, `fusion` does the mathematics."""

from collections.abc import Sequence

from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike


class WeightedSum(nnx.Module):
    """Learned `fusion.weighted_sum`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      rngs: Random streams; `params` draws the weights as `fusion.init_weighted_sum` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = WeightedSum((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, rngs: nnx.Rngs):
        weights = fusion.init_weighted_sum(rngs.params(), dims, dim)
        self.kernels = nnx.List([nnx.Param(kernel) for kernel in weights.kernels])
        self.logits = nnx.Param(weights.logits)

    @property
    def weights(self) -> fusion.WeightedSumWeights:
        """The weights as the argument of `fusion.weighted_sum`."""
        kernels = tuple(kernel[...] for kernel in self.kernels)
        return fusion.WeightedSumWeights(kernels, self.logits[...])

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.weighted_sum`."""
        return fusion.weighted_sum(xs, self.weights, present=present)


class GatedFusion(nnx.Module):
    """Learned `fusion.gated`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      rngs: Random streams; `params` draws the weights as `fusion.init_gated` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = GatedFusion((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, rngs: nnx.Rngs):
        weights = fusion.init_gated(rngs.params(), dims, dim)
        self.kernels = nnx.List([nnx.Param(kernel) for kernel in weights.kernels])
        self.biases = nnx.Param(weights.biases)
        self.gate_kernel = nnx.Param(weights.gate_kernel)
        self.gate_bias = nnx.Param(weights.gate_bias)

    @property
    def weights(self) -> fusion.GatedWeights:
        """The weights as the argument of `fusion.gated` and `fusion.gated_weights`."""
        return fusion.GatedWeights(
            kernels=tuple(kernel[...] for kernel in self.kernels),
            biases=self.biases[...],
            gate_kernel=self.gate_kernel[...],
            gate_bias=self.gate_bias[...],
        )

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.gated`."""
        return fusion.gated(xs, self.weights, present=present)
