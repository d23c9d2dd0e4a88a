"""The definition of attention: all weights at once."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def attention(
    query: Float[Array, "*batch t heads head_dim"],
    key: Float[Array, "*batch s heads head_dim"],
    value: Float[Array, "*batch s heads head_dim"],
    where: Bool[Array, "*batch s"] | None,
    scale: float,
) -> Float[Array, "*batch t heads head_dim"]:
    """Attention with the softmax in float32 at least; keys that do not exist are zero already."""
    # NumPy's rule, which holds while JAX is told to promote nothing.
    dtype = np.promote_types(query.dtype, np.float32)
    logits = jnp.einsum("...thd,...shd->...hts", query, key, preferred_element_type=dtype)
    logits = logits * jnp.asarray(scale, dtype)
    if where is not None:
        # Finite, so that a query without any key has a gradient. Its weights are then even, over
        # values that are all zero.
        logits = jnp.where(where[..., None, None, :], logits, 0.5 * jnp.finfo(dtype).min)
    weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
    out = jnp.einsum("...hts,...shd->...thd", weights, value, preferred_element_type=dtype)
    return out.astype(query.dtype)
