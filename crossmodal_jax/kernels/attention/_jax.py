"""Attention through `jax.nn.dot_product_attention`."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def attention(
    query: Float[Array, "*batch t heads head_dim"],
    key: Float[Array, "*batch s heads head_dim"],
    value: Float[Array, "*batch s heads head_dim"],
    where: Bool[Array, "*batch s"] | None,
    scale: float,
) -> Float[Array, "*batch t heads head_dim"]:
    """Attention by the XLA path of JAX, whose softmax is always computed in float32."""
    if query.dtype == jnp.float64:
        raise NotImplementedError("its softmax is computed in float32, got float64")
    if query.dtype == jnp.float16 and jax.default_backend() != "gpu":
        raise NotImplementedError("its product of float16 needs a GPU")
    return fused_attention(query, key, value, where, scale, implementation="xla")


def fused_attention(
    query: Float[Array, "*batch t heads head_dim"],
    key: Float[Array, "*batch s heads head_dim"],
    value: Float[Array, "*batch s heads head_dim"],
    where: Bool[Array, "*batch s"] | None,
    scale: float,
    *,
    implementation: Literal["xla", "cudnn"],
) -> Float[Array, "*batch t heads head_dim"]:
    """Calls JAX with one batch axis.

    It fills logits of keys that do not exist with a large negative number. A query without any
    key so takes the mean of the values, which are zero already.
    """

    def one_batch(x: Array) -> Array:
        return x.reshape(-1, *x.shape[-3:])

    mask = None
    if where is not None:
        # cuDNN wants the axis of the queries spelled out.
        shape = (*where.shape[:-1], 1, query.shape[-3], where.shape[-1])
        mask = one_batch(jnp.broadcast_to(where[..., None, None, :], shape))
    out = jax.nn.dot_product_attention(
        one_batch(query),
        one_batch(key),
        one_batch(value),
        mask=mask,
        scale=scale,
        implementation=implementation,
    )
    return out.reshape(query.shape)
