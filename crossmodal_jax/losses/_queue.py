"""A queue of past embeddings, which serve as further negatives."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike


class MemoryQueue(NamedTuple):
    """The last rows that were seen, first in, first out.

    Attributes:
      rows: The rows, shape [size, d], in no particular order; 0 where not yet filled.
      filled: True where there is a row, shape [size].
      position: Where the next row goes, a scalar, int32.
    """

    rows: Float[Array, "size d"]
    filled: Bool[Array, "size"]
    position: Int[Array, ""]


def init_memory_queue(size: int, dim: int, *, dtype: jnp.dtype | str = "float32") -> MemoryQueue:
    """An empty queue for `size` rows.

    Args:
      size: How many rows it holds, ≥ 1.
      dim: Width of a row.
      dtype: Dtype of the rows.

    Returns:
      The queue, none of whose places is filled.

    Raises:
      ValueError: If `size` is below 1.

    Examples:
      >>> print(init_memory_queue(3, 2).filled)
      [False False False]
    """
    if size < 1:
        raise ValueError(f"init_memory_queue: `size` must be at least 1, got {size}; leave it out.")
    return MemoryQueue(
        rows=jnp.zeros((size, dim), dtype),
        filled=jnp.zeros(size, bool),
        position=jnp.zeros((), jnp.int32),
    )


def update_memory_queue(
    queue: MemoryQueue,
    rows: Float[ArrayLike, "n d"],
    *,
    where: Bool[ArrayLike, "n"] | None = None,
) -> MemoryQueue:
    """Stores rows in the place of the oldest ones.

    It is what storing the kept rows one by one makes: dropped rows take no place, and of more
    rows than the queue holds the last ones remain. Stored rows are constants: no gradient flows
    into the past. Compute the loss first and update then, so that no row is its own negative.

    With `kernels.log_sums` the queue adds negatives to any softmax loss, as in MoCo and in
    cross-batch memory: the example is InfoNCE from x to y and the queue.

    Args:
      queue: The queue, of rows [size, d].
      rows: New rows, oldest first, shape [n, d].
      where: Rows to store, shape [n].

    Returns:
      The new queue, of the same shapes and dtypes.

    Raises:
      ValueError: If the rows have another width than those of the queue, or `where` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> from crossmodal_jax import kernels
      >>> x, y = jnp.eye(2), jnp.eye(2)
      >>> queue = update_memory_queue(init_memory_queue(3, 2), -jnp.eye(2))
      >>> candidates = jnp.concatenate([y, queue.rows])
      >>> kept = jnp.concatenate([jnp.ones(2, bool), queue.filled])
      >>> sums = kernels.log_sums(x, candidates, scale=0.0, where_y=kept)
      >>> print(jnp.exp(sums.rows - sums.matches).round(3))
      [4. 4.]
      >>> queue = update_memory_queue(queue, y)
      >>> print(queue.rows)
      [[ 0.  1.]
       [-0. -1.]
       [ 1.  0.]]

    References:
      He et al., `Momentum Contrast for Unsupervised Visual Representation Learning
      <https://arxiv.org/abs/1911.05722>`_, 2020, section 3.2.

      Wang et al., `Cross-Batch Memory for Embedding Learning
      <https://arxiv.org/abs/1912.06798>`_, 2020, section 3.2.
    """
    rows = jnp.asarray(rows)
    size, dim = queue.rows.shape
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(
            f"update_memory_queue: `rows` must have the width of the queue, [n, {dim}], got "
            f"rows.shape={rows.shape}; make a queue of that width."
        )
    keep = check_where("update_memory_queue", where, rows.shape[:1])
    # The number of each kept row among them, in the type of the position whatever the default is.
    order = jnp.cumsum(keep, dtype=jnp.int32) - 1
    count = jnp.sum(keep, dtype=jnp.int32)
    stored = keep & (order >= count - size)
    # Beyond the end: nothing is written there, and so each place at most once.
    place = jnp.where(stored, (queue.position + order) % size, size)
    rows = jax.lax.stop_gradient(rows).astype(queue.rows.dtype)
    return MemoryQueue(
        rows=queue.rows.at[place].set(rows, mode="drop"),
        filled=queue.filled.at[place].set(True, mode="drop"),
        position=(queue.position + count) % size,
    )
