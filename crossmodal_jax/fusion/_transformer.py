"""The transformer block of this room, on the tokens that exist."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels
from crossmodal_jax.fusion._inputs import linear

# Relative to tokens of variance near 1; what keeps the gradient of a constant token finite.
_EPS = 1e-6
# Width of the hidden layer of a block over the width of its tokens.
_EXPANSION = 4


class NormWeights(NamedTuple):
    """Weights of a layer norm.

    Attributes:
      scale: Factor of each feature, shape [dim].
      bias: Offset of each feature, shape [dim].
    """

    scale: Float[Array, "dim"]
    bias: Float[Array, "dim"]


class TransformerBlockWeights(NamedTuple):
    """Weights of one transformer block.

    The shapes tell the number of heads and their width. No map of the attention has a bias, so
    that a token with nothing to attend to gets nothing.

    Attributes:
      norm: Layer norm of the tokens that attend and of those that they attend to.
      query: Kernel of the queries, shape [dim, heads, head_dim].
      key_value: Kernel of the keys and of the values, shape [dim, 2, heads, head_dim].
      out: Kernel from the heads back to the tokens, shape [heads, head_dim, dim].
      hidden_norm: Layer norm before the hidden layer.
      hidden_kernel: Kernel of the hidden layer, shape [dim, hidden].
      hidden_bias: Bias of the hidden layer, shape [hidden].
      out_kernel: Kernel from the hidden layer back to the tokens, shape [hidden, dim].
      out_bias: Bias of that map, shape [dim].
    """

    norm: NormWeights
    query: Float[Array, "dim heads head_dim"]
    key_value: Float[Array, "dim 2 heads head_dim"]
    out: Float[Array, "heads head_dim dim"]
    hidden_norm: NormWeights
    hidden_kernel: Float[Array, "dim hidden"]
    hidden_bias: Float[Array, "hidden"]
    out_kernel: Float[Array, "hidden dim"]
    out_bias: Float[Array, "dim"]


def init_norm(dim: int) -> NormWeights:
    """Returns the weights of a layer norm that only normalises."""
    return NormWeights(jnp.ones(dim, jnp.float32), jnp.zeros(dim, jnp.float32))


def init_transformer_block(key: Array, dim: int, num_heads: int) -> TransformerBlockWeights:
    """Returns initial weights of a block: kernels of variance 1 / fan-in, no bias.

    A head has ⌈dim / num_heads⌉ features and the hidden layer 4·dim units.
    """
    head_dim, hidden = -(-dim // num_heads), _EXPANSION * dim
    keys = jax.random.split(key, 5)

    def normal(i: int, fan_in: int, *shape: int) -> Array:
        return jax.random.normal(keys[i], shape, jnp.float32) * fan_in**-0.5

    return TransformerBlockWeights(
        norm=init_norm(dim),
        query=normal(0, dim, dim, num_heads, head_dim),
        key_value=normal(1, dim, dim, 2, num_heads, head_dim),
        out=normal(2, num_heads * head_dim, num_heads, head_dim, dim),
        hidden_norm=init_norm(dim),
        hidden_kernel=normal(3, dim, dim, hidden),
        hidden_bias=jnp.zeros(hidden, jnp.float32),
        out_kernel=normal(4, hidden, hidden, dim),
        out_bias=jnp.zeros(dim, jnp.float32),
    )


def init_blocks(
    key: Array, num_layers: int, dim: int, num_heads: int
) -> tuple[TransformerBlockWeights, ...]:
    """Returns initial weights of a stack of blocks."""
    keys = jax.random.split(key, num_layers)
    return tuple(init_transformer_block(k, dim, num_heads) for k in keys)


def layer_norm(x: Float[Array, "*batch dim"], weights: NormWeights) -> Float[Array, "*batch dim"]:
    """Returns (x − mean) / √(variance + 1e-6) · scale + bias, computed in float32 at least."""
    dtype = np.promote_types(x.dtype, np.float32)
    centred = x.astype(dtype)
    centred = centred - jnp.mean(centred, axis=-1, keepdims=True)
    variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
    normal = centred * jax.lax.rsqrt(variance + jnp.asarray(_EPS, dtype))
    return (normal * weights.scale.astype(dtype) + weights.bias.astype(dtype)).astype(x.dtype)


def transformer_block(
    x: Float[Array, "*batch t dim"],
    weights: TransformerBlockWeights,
    where: Bool[Array, "*batch s"] | None = None,
    *,
    context: Float[Array, "*batch s dim"] | None = None,
) -> Float[Array, "*batch t dim"]:
    """One pre-norm transformer block: x ← x + A(LN x, LN c), then x ← x + F(LN x).

    A is multi-head attention to the tokens of the context c that exist as `where` says, all if it
    is None; F(u) = V₂ GELU(V₁u + v₁) + v₂. Without a context the tokens attend to each other, and
    `where` is theirs. Tokens of x that do not exist get finite values, which whoever pools or
    attends must leave out. Sums are taken in float32 at least, and rounded to the dtype of `x`
    after each.
    """
    normal = layer_norm(x, weights.norm)
    seen = normal if context is None else layer_norm(context, weights.norm)
    x = _add(x, _attend(normal, seen, weights, where))
    hidden = linear(layer_norm(x, weights.hidden_norm), weights.hidden_kernel)
    hidden = jax.nn.gelu(hidden + weights.hidden_bias.astype(hidden.dtype), approximate=False)
    change = linear(hidden.astype(x.dtype), weights.out_kernel)
    return _add(x, change + weights.out_bias.astype(change.dtype))


def _add(x: Array, change: Array) -> Array:
    return (x.astype(change.dtype) + change).astype(x.dtype)


def _attend(
    x: Float[Array, "*batch t dim"],
    context: Float[Array, "*batch s dim"],
    weights: TransformerBlockWeights,
    where: Bool[Array, "*batch s"] | None,
) -> Float[Array, "*batch t dim"]:
    dim, heads, head_dim = weights.query.shape
    query = linear(x, weights.query.reshape(dim, -1)).astype(x.dtype)
    key_value = linear(context, weights.key_value.reshape(dim, -1)).astype(x.dtype)
    key_value = key_value.reshape(*context.shape[:-1], 2, heads, head_dim)
    attended = kernels.attention(
        query.reshape(*x.shape[:-1], heads, head_dim),
        key_value[..., 0, :, :],
        key_value[..., 1, :, :],
        where=where,
    )
    attended = attended.reshape(*x.shape[:-1], heads * head_dim)
    return linear(attended, weights.out.reshape(heads * head_dim, -1))
