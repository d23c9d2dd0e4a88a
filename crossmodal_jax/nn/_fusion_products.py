"""Learned fusion by products of modalities as modules: they store the weights only."""

from collections.abc import Sequence

from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._weights import load, store


class MultiplicativeInteraction(nnx.Module):
    """Learned `fusion.multiplicative_interaction`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      form: `"matrix"`, `"vector"` or `"scalar"`, as for the function that makes the weights.
      rngs: Random streams; `params` draws the weights as `fusion.init_multiplicative_interaction`
        does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = MultiplicativeInteraction((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, form: str = "matrix", rngs: nnx.Rngs):
        self.params = store(
            fusion.init_multiplicative_interaction(rngs.params(), dims, dim, form=form)
        )

    @property
    def weights(self) -> fusion.MatrixInteractionWeights | fusion.VectorInteractionWeights:
        """The weights as the argument of `fusion.multiplicative_interaction`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses [*batch, d_m] into [*batch, dim]; see `fusion.multiplicative_interaction`."""
        return fusion.multiplicative_interaction(xs, self.weights, present=present)


class TensorFusion(nnx.Module):
    """Learned `fusion.tensor_fusion`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      rngs: Random streams; `params` draws the weights as `fusion.init_tensor_fusion` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = TensorFusion((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, rngs: nnx.Rngs):
        self.params = store(fusion.init_tensor_fusion(rngs.params(), dims, dim))

    @property
    def weights(self) -> fusion.TensorFusionWeights:
        """The weights as the argument of `fusion.tensor_fusion`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.tensor_fusion`."""
        return fusion.tensor_fusion(xs, self.weights, present=present)


class LowRank(nnx.Module):
    """Learned `fusion.low_rank`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      rank: Number of outer products in the kernel, for each output.
      rngs: Random streams; `params` draws the weights as `fusion.init_low_rank` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = LowRank((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(self, dims: Sequence[int], dim: int, *, rank: int = 4, rngs: nnx.Rngs):
        self.params = store(fusion.init_low_rank(rngs.params(), dims, dim, rank=rank))

    @property
    def weights(self) -> fusion.LowRankWeights:
        """The weights as the argument of `fusion.low_rank`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.low_rank`."""
        return fusion.low_rank(xs, self.weights, present=present)


class Polynomial(nnx.Module):
    """Learned `fusion.polynomial`.

    Args:
      dims: Widths of the modalities.
      dim: Width of the result.
      order: Degree of the polynomial, 1 for a linear map.
      rank: Number of products; None for `dim` of them.
      rngs: Random streams; `params` draws the weights as `fusion.init_polynomial` does.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> fuse = Polynomial((3, 5), 4, rngs=nnx.Rngs(0))
      >>> print(fuse([jnp.ones((2, 3)), jnp.ones((2, 5))]).shape)
      (2, 4)
    """

    def __init__(
        self,
        dims: Sequence[int],
        dim: int,
        *,
        order: int = 2,
        rank: int | None = None,
        rngs: nnx.Rngs,
    ):
        self.params = store(
            fusion.init_polynomial(rngs.params(), dims, dim, order=order, rank=rank)
        )

    @property
    def weights(self) -> fusion.PolynomialWeights:
        """The weights as the argument of `fusion.polynomial`."""
        return load(self.params)

    def __call__(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dim"]:
        """Fuses arrays [*batch, d_m] into [*batch, dim]; see `fusion.polynomial`."""
        return fusion.polynomial(xs, self.weights, present=present)
