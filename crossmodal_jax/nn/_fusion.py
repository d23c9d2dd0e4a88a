"""Learned fusion operators as modules: they store the weights, `fusion` does the mathematics."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._weights import load, store


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
        self.params = store(fusion.init_weighted_sum(rngs.params(), dims, dim))

    @property
    def weights(self) -> fusion.WeightedSumWeights:
        """The weights as the argument of `fusion.weighted_sum`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.weighted_sum`."""
        return fusion.weighted_sum(xs, self.weights, present=present)


class Gated(nnx.Module):
    """Learned `fusion.gated`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      activation: As for `fusion.gated`.
      rngs: Random streams; `params` draws the weights as `fusion.init_gated` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Gated((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        activation: Callable[[Array], Array] = jnp.tanh,
        rngs: nnx.Rngs,
    ):
        self.params = store(fusion.init_gated(rngs.params(), dims, dim))
        self.activation = activation

    @property
    def weights(self) -> fusion.GatedWeights:
        """The weights as the argument of `fusion.gated` and `fusion.gated_weights`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.gated`."""
        return fusion.gated(xs, self.weights, present=present, activation=self.activation)
