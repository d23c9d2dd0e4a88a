"""Multiplicative fusion as modules: they store the weights, `fusion` does the mathematics."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._weights import load, store


class CompactBilinear(nnx.Module):
    """Learned `fusion.compact_bilinear`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      sketch_dim: As for `fusion.init_compact_bilinear`.
      seed: As for `fusion.compact_bilinear`.
      implementation: As for `fusion.compact_bilinear`.
      rngs: Random streams; `params` draws the weights as `fusion.init_compact_bilinear` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = CompactBilinear((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        sketch_dim: int | None = None,
        seed: int = 0,
        implementation: str | None = None,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_compact_bilinear(rngs.params(), dims, dim, sketch_dim=sketch_dim)
        )
        self.seed = seed
        self.implementation = implementation

    @property
    def weights(self) -> fusion.CompactBilinearWeights:
        """The weights as the argument of `fusion.compact_bilinear`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.compact_bilinear`."""
        return fusion.compact_bilinear(
            xs, self.weights, present=present, seed=self.seed, implementation=self.implementation
        )


class Mlb(nnx.Module):
    """Learned `fusion.mlb`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      hidden_dim: As for `fusion.init_mlb`.
      activation: As for `fusion.mlb`.
      rngs: Random streams; `params` draws the weights as `fusion.init_mlb` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Mlb((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        hidden_dim: int = 256,
        activation: Callable[[Array], Array] = jnp.tanh,
        rngs: nnx.Rngs,
    ):
        self.params = store(fusion.init_mlb(rngs.params(), dims, dim, hidden_dim=hidden_dim))
        self.activation = activation

    @property
    def weights(self) -> fusion.MlbWeights:
        """The weights as the argument of `fusion.mlb`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.mlb`."""
        return fusion.mlb(xs, self.weights, present=present, activation=self.activation)


class Mfb(nnx.Module):
    """Learned `fusion.mfb`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      pool_size: As for `fusion.init_mfb`.
      normalize: As for `fusion.mfb`.
      rngs: Random streams; `params` draws the weights as `fusion.init_mfb` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Mfb((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        pool_size: int = 5,
        normalize: bool = True,
        rngs: nnx.Rngs,
    ):
        self.params = store(fusion.init_mfb(rngs.params(), dims, dim, pool_size=pool_size))
        self.normalize = normalize

    @property
    def weights(self) -> fusion.MfbWeights:
        """The weights as the argument of `fusion.mfb`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.mfb`."""
        return fusion.mfb(xs, self.weights, present=present, normalize=self.normalize)


class Mfh(nnx.Module):
    """Learned `fusion.mfh`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      order: As for `fusion.init_mfh`.
      pool_size: As for `fusion.init_mfh`.
      normalize: As for `fusion.mfh`.
      rngs: Random streams; `params` draws the weights as `fusion.init_mfh` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Mfh((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        order: int = 2,
        pool_size: int = 5,
        normalize: bool = True,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_mfh(rngs.params(), dims, dim, order=order, pool_size=pool_size)
        )
        self.normalize = normalize

    @property
    def weights(self) -> fusion.MfhWeights:
        """The weights as the argument of `fusion.mfh`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.mfh`."""
        return fusion.mfh(xs, self.weights, present=present, normalize=self.normalize)


class Tucker(nnx.Module):
    """Learned `fusion.tucker`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      core_dim: As for `fusion.init_tucker`.
      rngs: Random streams; `params` draws the weights as `fusion.init_tucker` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Tucker((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        core_dim: int | None = None,
        rngs: nnx.Rngs,
    ):
        self.params = store(fusion.init_tucker(rngs.params(), dims, dim, core_dim=core_dim))

    @property
    def weights(self) -> fusion.TuckerWeights:
        """The weights as the argument of `fusion.tucker`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.tucker`."""
        return fusion.tucker(xs, self.weights, present=present)


class Mutan(nnx.Module):
    """Learned `fusion.mutan`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      core_dim: As for `fusion.init_mutan`.
      rank: As for `fusion.init_mutan`.
      rngs: Random streams; `params` draws the weights as `fusion.init_mutan` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Mutan((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        core_dim: int = 128,
        rank: int = 5,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_mutan(rngs.params(), dims, dim, core_dim=core_dim, rank=rank)
        )

    @property
    def weights(self) -> fusion.MutanWeights:
        """The weights as the argument of `fusion.mutan`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.mutan`."""
        return fusion.mutan(xs, self.weights, present=present)


class Block(nnx.Module):
    """Learned `fusion.block`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      num_chunks: As for `fusion.init_block`.
      chunk_dim: As for `fusion.init_block`.
      rank: As for `fusion.init_block`.
      normalize: As for `fusion.block`.
      rngs: Random streams; `params` draws the weights as `fusion.init_block` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Block((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        num_chunks: int = 16,
        chunk_dim: int = 16,
        rank: int = 8,
        normalize: bool = True,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_block(
                rngs.params(),
                dims,
                dim,
                num_chunks=num_chunks,
                chunk_dim=chunk_dim,
                rank=rank,
                normalize=normalize,
            )
        )
        self.normalize = normalize

    @property
    def weights(self) -> fusion.BlockWeights:
        """The weights as the argument of `fusion.block`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.block`."""
        return fusion.block(xs, self.weights, present=present, normalize=self.normalize)
