"""What several losses share: checks, and the scores of pairs."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_pairs
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import zero_absent


def check_views(name: str, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Returns x and y, which must be matrices of one shape [n, d]."""
    x, y = check_pairs(name, x=x, y=y)
    if x.shape != y.shape:
        raise ValueError(
            f"{name}: `x` and `y` must share one shape [n, d], got x.shape={x.shape} and "
            f"y.shape={y.shape}; project both to one width."
        )
    return x, y


def own_scores(
    x: Float[Array, "n d"],
    y: Float[Array, "n d"],
    keep: Bool[Array, "n"],
    precision: str | jnp.dtype | None,
) -> Float[Array, "n"]:
    """⟨xᵢ, yᵢ⟩ of rows rounded to `precision`, accumulated in float32 at least."""
    dtype = np.promote_types(x.dtype, y.dtype)
    wide = np.promote_types(dtype, jnp.float32)
    to = jnp.finfo(precision or dtype)

    def rounded(z: Array) -> Array:
        # In place: arrays of the other dtype would be kept for the gradient.
        return jax.lax.reduce_precision(zero_absent(z, keep).astype(wide), to.nexp, to.nmant)

    return jnp.sum(rounded(x) * rounded(y), axis=1)
