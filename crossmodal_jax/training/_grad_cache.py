"""The gradient of a large batch in the memory of a small one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from crossmodal_jax._typing import PyTree


def grad_cache(encode: Callable[..., PyTree], *, num_micro_batches: int) -> Callable[..., PyTree]:
    """`encode`, run by micro-batches whose activations are not kept.

    With z = encode(params, batch) and any loss L(z) that couples all rows, ∂L/∂params =
    Σ_b (∂z_b/∂params)ᵀ ∂L/∂z_b. The forward pass keeps the embeddings z only; the backward pass
    encodes each micro-batch b once more and pulls its slice ∂L/∂z_b back. The gradient is that of
    the whole batch, its negatives included, for one more forward pass.

    Args:
      encode: `encode(params, batch, *args) -> z`, row by row: row i of z, a pytree of arrays
        [n, ...], depends on row i of the batch only.
      num_micro_batches: Parts b; the number of rows n must be a multiple.

    Returns:
      `cached(params, batch, *args) -> z` of the same shape [n, ...], value and gradient. The
      other arguments reach every micro-batch whole; pass random numbers per row in the batch.

    Raises:
      ValueError: If `num_micro_batches` is below 1, or, while tracing, does not divide the rows.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> encode = lambda params, batch: jnp.tanh(batch @ params)
      >>> cached = grad_cache(encode, num_micro_batches=4)
      >>> x, w = jnp.arange(24.0).reshape(8, 3) / 24, jnp.ones((3, 2))
      >>> loss = lambda encode, w: jax.nn.logsumexp(encode(w, x) @ encode(w, x).T)
      >>> whole, parts = (jax.grad(loss, argnums=1)(f, w) for f in (encode, cached))
      >>> print(jnp.allclose(whole, parts))
      True

    References:
      Gao et al., `Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup
      <https://arxiv.org/abs/2101.06983>`_, 2021.
    """
    if num_micro_batches < 1:
        raise ValueError(
            f"grad_cache: `num_micro_batches` must be at least 1, got {num_micro_batches}."
        )

    def split(leaf: Any) -> jax.Array:
        leaf = jnp.asarray(leaf)
        if leaf.ndim == 0 or leaf.shape[0] % num_micro_batches != 0:
            raise ValueError(
                "grad_cache: the rows of `batch` must be a multiple of `num_micro_batches`, got "
                f"shape {leaf.shape} and {num_micro_batches}; choose a divisor of the batch size."
            )
        return leaf.reshape(num_micro_batches, -1, *leaf.shape[1:])

    def cached(params: PyTree, batch: PyTree, *args: Any) -> PyTree:
        part = jax.checkpoint(lambda rows: encode(params, rows, *args))
        z = jax.lax.map(part, jax.tree.map(split, batch))
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), z)

    return cached
