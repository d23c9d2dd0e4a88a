"""An invertible network of affine coupling layers."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.nn._mlp import MLP

# exp(2) = 7.4: one layer stretches by no more, which keeps the inverse as exact as the map.
_LARGEST_LOG_SCALE = 2.0


class CouplingFlow(nnx.Module):
    """Affine coupling layers, which alternate between two halves of the columns.

    A layer keeps half a of the columns and maps the other, x_b ← x_b ⊙ exp(s(x_a)) + t(x_a), with
    (s, t) from an `MLP` and s = 2 tanh(·/2), so that |s| < 2. Its inverse is
    x_b = (x_b − t(x_a)) ⊙ exp(−s(x_a)), and the logarithm of its Jacobian's determinant is the sum
    of s. The last layer of each network starts at zero: the flow starts as the identity.

    Args:
      dim: Number d ≥ 2 of columns.
      dim_hidden: Width of the hidden layers of each network.
      num_layers: Number of coupling layers; with fewer than 2, half of the columns never change.
      depth: Number of hidden layers of each network.
      rngs: Random streams; `params` draws the kernels.

    Attributes:
      networks: The network of each layer, from ⌈d/2⌉ or ⌊d/2⌋ columns to s and t of the others.

    Raises:
      ValueError: If `dim` is below 2 or another number is below 1.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> flow = CouplingFlow(3, 8, rngs=nnx.Rngs(0))
      >>> y, log_determinant = flow(jnp.array([1.0, 2.0, 3.0]))
      >>> print(y, log_determinant)
      [1. 2. 3.] 0.0
    """

    def __init__(
        self, dim: int, dim_hidden: int, *, num_layers: int = 6, depth: int = 1, rngs: nnx.Rngs
    ):
        if dim < 2 or num_layers < 1:
            raise ValueError(
                "CouplingFlow: `dim` must be at least 2 and `num_layers` at least 1, got dim="
                f"{dim} and num_layers={num_layers}; one column has no other half to depend on."
            )
        self.networks = nnx.List(
            [
                MLP(kept, dim_hidden, 2 * (dim - kept), depth=depth, zero_last=True, rngs=rngs)
                for kept in (_num_kept(dim, i) for i in range(num_layers))
            ]
        )

    def __call__(
        self, x: Float[ArrayLike, "*batch d"]
    ) -> tuple[Float[Array, "*batch d"], Float[Array, "*batch"]]:
        """Maps `x`, shape [*batch, d], to y of that shape and log |det dy/dx|, shape [*batch]."""
        x = self._check(x)
        total = jnp.zeros(x.shape[:-1], x.dtype)
        for i, network in enumerate(self.networks):
            kept, moved = _split(x, i)
            log_scale, shift = _conditioned(network, kept)
            x = _join(kept, moved * jnp.exp(log_scale) + shift, i)
            total = total + jnp.sum(log_scale, axis=-1)
        return x, total

    def inverse(self, y: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
        """Maps y, shape [*batch, d], back to x."""
        y = self._check(y)
        for i in reversed(range(len(self.networks))):
            kept, moved = _split(y, i)
            log_scale, shift = _conditioned(self.networks[i], kept)
            y = _join(kept, (moved - shift) * jnp.exp(-log_scale), i)
        return y

    def _check(self, x: ArrayLike) -> Array:
        first = self.networks[0].layers
        width = first[0].kernel.shape[0] + first[-1].bias.shape[0] // 2
        x = jnp.asarray(x)
        if x.ndim < 1 or x.shape[-1] != width:
            raise ValueError(
                f"CouplingFlow: the argument must have shape [*batch, {width}], got {x.shape}; "
                "the last axis is the width given as `dim`."
            )
        return x


def _num_kept(dim: int, i: int) -> int:
    """Number of columns that layer i keeps: the first ⌈d/2⌉, or the others, in turn."""
    first = (dim + 1) // 2
    return first if i % 2 == 0 else dim - first


def _split(x: Array, i: int) -> tuple[Array, Array]:
    first, last = jnp.split(x, [(x.shape[-1] + 1) // 2], axis=-1)
    return (first, last) if i % 2 == 0 else (last, first)


def _join(kept: Array, moved: Array, i: int) -> Array:
    return jnp.concatenate((kept, moved) if i % 2 == 0 else (moved, kept), axis=-1)


def _conditioned(network: MLP, kept: Array) -> tuple[Array, Array]:
    """Log-scale and shift of the moved columns."""
    # On an accelerator a coarse product would round differently on the way back.
    with jax.default_matmul_precision("highest"):
        raw, shift = jnp.split(network(kept), 2, axis=-1)
    return _LARGEST_LOG_SCALE * jnp.tanh(raw / _LARGEST_LOG_SCALE), shift
