"""Functions of rows that look at all columns of a matrix of scores, in slabs of rows."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from crossmodal_jax._typing import PyTree

# Of so many scores nothing is looped over.
_FEW = 2**21
# Of the scores of a slab: 4 MiB in float32, of which a gradient needs several.
_ELEMENTS = 2**20


def by_rows(
    function: Callable[[PyTree], tuple[PyTree, PyTree]], rows: PyTree, *, num_columns: int
) -> tuple[PyTree, PyTree]:
    """Applies a function of some rows to all of them, without the memory of all their scores.

    A function that compares its rows with m columns, which it closes over, makes a matrix [n, m]
    of scores, and keeps it for the gradient. Here the rows come in slabs, one after the other, and
    a slab is made again in the backward pass: neither the scores nor their slopes exist for more
    than a slab of about 2²⁰ of them. Up to 2²¹ scores are computed at once. Forward and reverse
    derivatives exist.

    Args:
      function: From rows, a pytree of arrays [b, ...] for any b, to a pair: results of these rows,
        a pytree of arrays [b, ...], and a pytree of totals, such as sums over the rows for each
        column, or None. Row i of the results may depend on row i of the arguments and on what is
        closed over only; totals must be sums of what each row adds.
      rows: A pytree of arrays [n, ...].
      num_columns: The m that a row is compared with; it decides how many rows make a slab.

    Returns:
      What `function(rows)` is: results, arrays [n, ...], and totals.

    Raises:
      ValueError: If `rows` holds no array, or its arrays differ in n.

    Examples:
      >>> import jax.numpy as jnp
      >>> y = jnp.eye(3)
      >>> def of_rows(x):
      ...   scores = x @ y.T
      ...   return jnp.max(scores, axis=1), jnp.sum(scores, axis=0)
      >>> print(*by_rows(of_rows, jnp.arange(6.0).reshape(2, 3), num_columns=3))
      [2. 5.] [3. 5. 7.]
    """
    shapes = [leaf.shape for leaf in jax.tree.leaves(rows)]
    if len({shape[:1] for shape in shapes}) != 1 or not shapes[0]:
        raise ValueError(
            f"by_rows: `rows` must be arrays that share a leading axis n, got shapes {shapes}; "
            "close over what does not belong to a row."
        )
    num = shapes[0][0]
    if num * num_columns <= _FEW:
        return function(rows)
    block = _rows_of_a_slab(num, num_columns)

    def slab(start: Array | int, size: int) -> tuple[PyTree, PyTree]:
        # Cut out here, rows have one slope, which the loop adds up with that of what is closed
        # over; as slabs that it runs over they would have one more.
        def cut(leaf: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(leaf, start, size)

        return function(jax.tree.map(cut, rows))

    # A barrier against merging the two computations of a slab is not needed inside a loop.
    part = jax.checkpoint(slab, static_argnums=1, prevent_cse=False)

    def step(totals: PyTree, start: Array) -> tuple[PyTree, PyTree]:
        found, more = part(start, block)
        return jax.tree.map(jnp.add, totals, more), found

    starts = block * jnp.arange(num // block)
    # The numbers of this slab are not used; inside `shard_map` its types are: sums that differ
    # between devices do so from their start.
    totals = jax.tree.map(jnp.zeros_like, slab(0, block)[1])
    totals, found = jax.lax.scan(step, totals, starts)
    found = jax.tree.map(lambda v: v.reshape(-1, *v.shape[2:]), found)
    if rest := num % block:
        last, more = jax.checkpoint(slab, static_argnums=(0, 1))(num - rest, rest)
        found = jax.tree.map(lambda *v: jnp.concatenate(v), found, last)
        totals = jax.tree.map(jnp.add, totals, more)
    return found, totals


def _rows_of_a_slab(num: int, num_columns: int) -> int:
    least = -(-num // max(1, _ELEMENTS // num_columns))
    # A few more slabs, if those are even: then nothing is left over, and one program does.
    num_slabs = next((k for k in range(least, 2 * least) if num % k == 0), least)
    return -(-num // num_slabs)
