"""Fusion of tokens as modules: they store the weights, `fusion` does the mathematics."""

from collections.abc import Sequence

from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._weights import load, store


class CrossAttention(nnx.Module):
    """Learned `fusion.cross_attention`.

    Args:
      dims: Widths of the tokens of the modalities.
      dim: Width of the blocks and of the result.
      num_heads: As for `fusion.init_cross_attention`.
      num_layers: As for `fusion.init_cross_attention`.
      rngs: Random streams; `params` draws the weights as `fusion.init_cross_attention` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = CrossAttention((3, 5), 8, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]).shape)
      (2, 8)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        num_heads: int = 4,
        num_layers: int = 1,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_cross_attention(
                rngs.params(),
                dims,
                dim,
                num_heads=num_heads,
                num_layers=num_layers,
            )
        )

    @property
    def weights(self) -> fusion.CrossAttentionWeights:
        """The weights as the argument of `fusion.cross_attention` and its `_tokens` form."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
        where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses tokens [*batch, t_m, d_m] into [*batch, dim]; see `fusion.cross_attention`."""
        return fusion.cross_attention(xs, self.weights, present=present, where=where)


class EarlyTransformer(nnx.Module):
    """Learned `fusion.early_transformer`.

    Args:
      dims: Widths of the tokens of the modalities.
      dim: Width of the blocks and of the result.
      num_heads: As for `fusion.init_early_transformer`.
      num_layers: As for `fusion.init_early_transformer`.
      rngs: Random streams; `params` draws the weights as `fusion.init_early_transformer` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = EarlyTransformer((3, 5), 8, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]).shape)
      (2, 8)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        num_heads: int = 4,
        num_layers: int = 2,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_early_transformer(
                rngs.params(),
                dims,
                dim,
                num_heads=num_heads,
                num_layers=num_layers,
            )
        )

    @property
    def weights(self) -> fusion.EarlyTransformerWeights:
        """The weights as the argument of `fusion.early_transformer`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
        where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses tokens [*batch, t_m, d_m] into [*batch, dim]; see `fusion.early_transformer`."""
        return fusion.early_transformer(xs, self.weights, present=present, where=where)


class Perceiver(nnx.Module):
    """Learned `fusion.perceiver`.

    Args:
      dims: Widths of the tokens of the modalities.
      dim: Width of the blocks and of the result.
      num_heads: As for `fusion.init_perceiver`.
      num_layers: As for `fusion.init_perceiver`.
      num_latents: As for `fusion.init_perceiver`.
      rngs: Random streams; `params` draws the weights as `fusion.init_perceiver` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Perceiver((3, 5), 8, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]).shape)
      (2, 8)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        num_heads: int = 4,
        num_layers: int = 1,
        num_latents: int = 8,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_perceiver(
                rngs.params(),
                dims,
                dim,
                num_heads=num_heads,
                num_layers=num_layers,
                num_latents=num_latents,
            )
        )

    @property
    def weights(self) -> fusion.PerceiverWeights:
        """The weights as the argument of `fusion.perceiver` and its `_latents` form."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
        where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses tokens [*batch, t_m, d_m] into [*batch, dim]; see `fusion.perceiver`."""
        return fusion.perceiver(xs, self.weights, present=present, where=where)


class Bottleneck(nnx.Module):
    """Learned `fusion.bottleneck`.

    Args:
      dims: Widths of the tokens of the modalities.
      dim: Width of the blocks and of the result.
      num_heads: As for `fusion.init_bottleneck`.
      num_layers: As for `fusion.init_bottleneck`.
      num_bottlenecks: As for `fusion.init_bottleneck`.
      rngs: Random streams; `params` draws the weights as `fusion.init_bottleneck` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Bottleneck((3, 5), 8, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]).shape)
      (2, 8)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        num_heads: int = 4,
        num_layers: int = 2,
        num_bottlenecks: int = 4,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_bottleneck(
                rngs.params(),
                dims,
                dim,
                num_heads=num_heads,
                num_layers=num_layers,
                num_bottlenecks=num_bottlenecks,
            )
        )

    @property
    def weights(self) -> fusion.BottleneckWeights:
        """The weights as the argument of `fusion.bottleneck`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
        where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses tokens [*batch, t_m, d_m] into [*batch, dim]; see `fusion.bottleneck`."""
        return fusion.bottleneck(xs, self.weights, present=present, where=where)


class Mult(nnx.Module):
    """Learned `fusion.mult`.

    Args:
      dims: Widths of the tokens of the modalities.
      dim: Width of the blocks and of the result.
      num_heads: As for `fusion.init_mult`.
      num_layers: As for `fusion.init_mult`.
      rngs: Random streams; `params` draws the weights as `fusion.init_mult` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Mult((3, 5), 8, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 4, 3)), jnp.ones((2, 6, 5))]).shape)
      (2, 8)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        num_heads: int = 4,
        num_layers: int = 1,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_mult(
                rngs.params(),
                dims,
                dim,
                num_heads=num_heads,
                num_layers=num_layers,
            )
        )

    @property
    def weights(self) -> fusion.MultWeights:
        """The weights as the argument of `fusion.mult`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
        where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses tokens [*batch, t_m, d_m] into [*batch, dim]; see `fusion.mult`."""
        return fusion.mult(xs, self.weights, present=present, where=where)
