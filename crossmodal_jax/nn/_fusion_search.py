"""A cell of an architecture search, as a module that stores the weights."""

from collections.abc import Sequence

from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._weights import load, store


class FusionCell(nnx.Module):
    """Learned `fusion.fusion_cell`, of one architecture.

    Args:
      dims: For each modality, the widths of its feature layers.
      dim: Width of the result and of every layer.
      layers: The architecture, first layer first; see `fusion.fusion_search_space`.
      rngs: Random streams; `params` draws the weights as `fusion.init_fusion_cell` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from crossmodal_jax import fusion
      >>> layers = (fusion.CellLayer((1, 0)), fusion.CellLayer((0, 0), "tanh"))
      >>> fuse = FusionCell(((3, 5), (4,)), 6, layers=layers, rngs=nnx.Rngs(0))
      >>> features = [[jnp.ones((2, 3)), jnp.ones((2, 5))], [jnp.ones((2, 4))]]
      >>> print(fuse(features).shape)
      (2, 6)
    """

    def __init__(
        self,
        dims: Sequence[Sequence[int]],
        dim: int,
        *,
        layers: Sequence[fusion.CellLayer],
        rngs: nnx.Rngs,
    ):
        self.layers = tuple(layers)
        self.params = store(fusion.init_fusion_cell(rngs.params(), dims, dim, layers=layers))

    @property
    def weights(self) -> fusion.FusionCellWeights:
        """The weights as the argument of `fusion.fusion_cell`."""
        return load(self.params)

    def __call__(
        self,
        features: Sequence[Sequence[Float[ArrayLike, "..."]]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses feature layers [*batch, d] into [*batch, dim]; see `fusion.fusion_cell`."""
        return fusion.fusion_cell(features, self.weights, layers=self.layers, present=present)
