"""Learned fusion of decisions as modules: they store weights, `fusion` does the mathematics."""

from collections.abc import Sequence

from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._weights import load, store


class Stacking(nnx.Module):
    """Learned `fusion.stacking`.

    Args:
      dims: Numbers of classes of the modalities.
      dim: Number of classes of the result.
      rngs: Random streams, asked as by every module; `fusion.init_stacking` draws nothing.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Stacking((3, 3), 3, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 3))]).shape)
      (2, 3)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, rngs: nnx.Rngs):
        self.params = store(fusion.init_stacking(rngs.params(), dims, dim))

    @property
    def weights(self) -> fusion.StackingWeights:
        """The weights as the argument of `fusion.stacking`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses class scores [*batch, k_m] into logits [*batch, dim]; see `fusion.stacking`."""
        return fusion.stacking(xs, self.weights, present=present)


class Vcdn(nnx.Module):
    """Learned `fusion.vcdn`.

    Args:
      dims: Numbers of classes of the modalities.
      dim: Width of the result, the number of classes.
      hidden: Number of hidden units.
      rngs: Random streams; `params` draws the weights as `fusion.init_vcdn` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Vcdn((3, 3), 4, hidden=8, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 3))]).shape)
      (2, 4)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, hidden: int = 64, rngs: nnx.Rngs):
        self.params = store(fusion.init_vcdn(rngs.params(), dims, dim, hidden=hidden))

    @property
    def weights(self) -> fusion.VcdnWeights:
        """The weights as the argument of `fusion.vcdn`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses class scores [*batch, k_m] into logits [*batch, dim]; see `fusion.vcdn`."""
        return fusion.vcdn(xs, self.weights, present=present)
