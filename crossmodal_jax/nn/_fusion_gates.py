"""Learned fusion by attention, pooling and modulation: modules that store the weights."""

from collections.abc import Sequence

from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._weights import load, store


class AttentionWeighted(nnx.Module):
    """Learned `fusion.attention_weighted`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      rngs: Random streams; `params` draws the weights as `fusion.init_attention_weighted` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = AttentionWeighted((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, rngs: nnx.Rngs):
        self.params = store(fusion.init_attention_weighted(rngs.params(), dims, dim))

    @property
    def weights(self) -> fusion.AttentionWeightedWeights:
        """The weights, as `fusion.attention_weighted` and `fusion.attention_weights` take them."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.attention_weighted`."""
        return fusion.attention_weighted(xs, self.weights, present=present)


class DeepSets(nnx.Module):
    """Learned `fusion.deep_sets`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      hidden: As for `fusion.init_deep_sets`.
      pool: As for `fusion.deep_sets`.
      rngs: Random streams; `params` draws the weights as `fusion.init_deep_sets` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = DeepSets((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        hidden: int | None = None,
        pool: str = "mean",
        rngs: nnx.Rngs,
    ):
        self.params = store(fusion.init_deep_sets(rngs.params(), dims, dim, hidden=hidden))
        self.pool = pool

    @property
    def weights(self) -> fusion.DeepSetsWeights:
        """The weights as the argument of `fusion.deep_sets`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.deep_sets`."""
        return fusion.deep_sets(xs, self.weights, present=present, pool=self.pool)


class Film(nnx.Module):
    """Learned `fusion.film`.

    Args:
      dims: Widths of the modalities, the modulated one first.
      dim: Width of the result.
      rngs: Random streams; `params` draws the weights as `fusion.init_film` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Film((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, rngs: nnx.Rngs):
        self.params = store(fusion.init_film(rngs.params(), dims, dim))

    @property
    def weights(self) -> fusion.FilmWeights:
        """The weights as the argument of `fusion.film`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.film`."""
        return fusion.film(xs, self.weights, present=present)


class ChannelGate(nnx.Module):
    """Learned `fusion.channel_gate`.

    Args:
      dims: Widths of the modalities, the gated one first.
      dim: Width of the result.
      hidden: As for `fusion.init_channel_gate`.
      rngs: Random streams; `params` draws the weights as `fusion.init_channel_gate` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = ChannelGate((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        hidden: int | None = None,
        rngs: nnx.Rngs,
    ):
        self.params = store(fusion.init_channel_gate(rngs.params(), dims, dim, hidden=hidden))

    @property
    def weights(self) -> fusion.ChannelGateWeights:
        """The weights as the argument of `fusion.channel_gate`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.channel_gate`."""
        return fusion.channel_gate(xs, self.weights, present=present)


class AttentionalFeature(nnx.Module):
    """Learned `fusion.attentional_feature`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      iterations: As for `fusion.init_attentional_feature`.
      hidden: As for `fusion.init_attentional_feature`.
      rngs: Random streams; `params` draws the weights as `fusion.init_attentional_feature` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = AttentionalFeature((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        iterations: int = 1,
        hidden: int | None = None,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_attentional_feature(
                rngs.params(), dims, dim, iterations=iterations, hidden=hidden
            )
        )

    @property
    def weights(self) -> fusion.AttentionalFeatureWeights:
        """The weights as the argument of `fusion.attentional_feature`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.attentional_feature`."""
        return fusion.attentional_feature(xs, self.weights, present=present)
