"""What losses with any number of positives share."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import kernels, numerics
from crossmodal_jax._typing import ArrayLike

# Sums of logits, and how many they are.
Matches = tuple[Float[Array, "n"], Int[Array, "n"]]


def check_positives(name: str, positives: ArrayLike, num: int) -> Bool[Array, "n n"]:
    """Returns a matrix that tells for all pairs of `num` rows whether they match."""
    positives = jnp.asarray(positives)
    if positives.shape != (num, num) or positives.dtype != jnp.bool_:
        raise ValueError(
            f"{name}: `positives` must be boolean with shape [n, n] = {(num, num)}, got "
            f"{positives.dtype} {positives.shape}; entry [i, j] tells whether x[i] matches y[j]."
        )
    return positives


def matching_logits(
    x: Float[Array, "n d"],
    y: Float[Array, "n d"],
    positives: Bool[Array, "n n"],
    *,
    scale: Float[ArrayLike, ""] | float,
    keep: Bool[Array, "n"],
    single: bool,
) -> tuple[Matches, Matches]:
    """Sums of the logits of the positives of each row, and of each column, in slabs of rows.

    With `single` x and y are one set, and no row matches itself.
    """
    dtype = np.promote_types(np.promote_types(x.dtype, y.dtype), jnp.float32)
    x, y = (numerics.zero_absent(z, keep).astype(dtype) for z in (x, y))
    scale, index = jnp.asarray(scale, dtype), jnp.arange(x.shape[0])

    def of_rows(rows: tuple[Array, ...]) -> Any:
        x, own, kept, positives = rows
        matches = positives & kept[:, None] & keep
        if single:
            matches &= own[:, None] != index
        logits = jnp.where(matches, scale * numerics.dot_scores(x, y, precision="highest"), 0)
        of_rows, of_columns = ((jnp.sum(logits, axis=a), jnp.sum(matches, axis=a)) for a in (1, 0))
        return of_rows, of_columns

    return kernels.by_rows(of_rows, (x, index, keep, positives), num_columns=x.shape[0])
