"""Attention through the fused kernel of cuDNN: the weights are never stored."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax.kernels.attention._jax import fused_attention

# The limit of GPUs before Hopper.
_MAX_HEAD_DIM = 128


def attention(
    query: Float[Array, "*batch t heads head_dim"],
    key: Float[Array, "*batch s heads head_dim"],
    value: Float[Array, "*batch s heads head_dim"],
    where: Bool[Array, "*batch s"] | None,
    scale: float,
) -> Float[Array, "*batch t heads head_dim"]:
    """Attention by cuDNN where it is legal, which is asked of shapes before it is of the device."""
    if query.dtype not in (jnp.float16, jnp.bfloat16):
        raise NotImplementedError(f"needs float16 or bfloat16, got {query.dtype}")
    head_dim = query.shape[-1]
    if head_dim % 8 or head_dim > _MAX_HEAD_DIM:
        raise NotImplementedError(
            f"needs a head_dim that is a multiple of 8 up to {_MAX_HEAD_DIM}, got {head_dim}"
        )
    lengths = query.shape[-3], key.shape[-3]
    if where is not None and any(length % 2 for length in lengths):
        # Its gradient refuses odd lengths beside a mask, and here no one knows if one will follow.
        raise NotImplementedError(f"needs even lengths beside a mask, got t, s = {lengths}")
    if not _on_cuda():
        raise NotImplementedError(f"needs an NVIDIA GPU, got {jax.default_backend()}")
    return fused_attention(query, key, value, where, scale, implementation="cudnn")


def _on_cuda() -> bool:
    return "cuda" in jax.devices()[0].client.platform_version
