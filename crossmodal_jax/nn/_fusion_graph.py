"""Fusion over pairs of tokens and over graphs of samples, as modules that store the weights."""

from collections.abc import Callable, Sequence

import jax
from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._weights import load, store


class BilinearAttention(nnx.Module):
    """Learned `fusion.bilinear_attention`.

    Args:
      dims: Widths of the tokens of the two modalities.
      dim: Width of the result.
      rank: As for `fusion.init_bilinear_attention`.
      num_glimpses: As for `fusion.init_bilinear_attention`.
      rngs: Random streams; `params` draws the weights as `fusion.init_bilinear_attention` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = BilinearAttention((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 6, 3)), jnp.ones((2, 7, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        rank: int | None = None,
        num_glimpses: int = 2,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_bilinear_attention(
                rngs.params(), dims, dim, rank=rank, num_glimpses=num_glimpses
            )
        )

    @property
    def weights(self) -> fusion.BilinearAttentionWeights:
        """The weights as the argument of `fusion.bilinear_attention` and of its map."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
        where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses tokens [*batch, t_m, d_m] into [*batch, dim]; see `fusion.bilinear_attention`."""
        return fusion.bilinear_attention(xs, self.weights, present=present, where=where)


class GraphFusion(nnx.Module):
    """Learned `fusion.graph_fusion`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      num_layers: As for `fusion.init_graph_fusion`.
      activation: As for `fusion.graph_fusion`.
      rngs: Random streams; `params` draws the weights as `fusion.init_graph_fusion` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = GraphFusion((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))], jnp.ones((2, 2))).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        num_layers: int = 2,
        activation: Callable[[Array], Array] = jax.nn.relu,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_graph_fusion(rngs.params(), dims, dim, num_layers=num_layers)
        )
        self.activation = activation

    @property
    def weights(self) -> fusion.GraphFusionWeights:
        """The weights as the argument of `fusion.graph_fusion`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        adjacency: Float[ArrayLike, "*graphs n n"],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*graphs n dim"]:
        """Fuses nodes [*graphs, n, d_m] into [*graphs, n, dim]; see `fusion.graph_fusion`."""
        return fusion.graph_fusion(
            xs, self.weights, adjacency, present=present, activation=self.activation
        )
