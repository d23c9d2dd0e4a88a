"""Means of one cloud under an entropic plan, for points of the plan and for any others."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax.numerics import masked_softmax, safe_divide
from crossmodal_jax.transforms._transform import matmul

_BLOCK = 256


def uniform(keep: Bool[Array, "n"], dtype: jnp.dtype) -> Float[Array, "n"]:
    """Equal weights of the kept rows that add up to 1; zeros if none is kept."""
    weight = keep.astype(dtype)
    return safe_divide(weight, jnp.sum(weight))


def centred(
    x: Float[Array, "n d"], keep: Bool[Array, "n"]
) -> tuple[Float[Array, "n d"], Float[Array, "n"], Float[Array, "d"]]:
    """Kept rows minus their mean (0 where dropped), their weights, and the mean."""
    weight = uniform(keep, x.dtype)
    mean = jnp.matmul(weight, x, precision="highest")
    return jnp.where(keep[:, None], x - mean, 0), weight, mean


def positive(epsilon: Float[Array, ""]) -> Float[Array, ""]:
    """ε, or 1 where the clouds are points and every ε gives the same plan."""
    return jnp.where(epsilon > jnp.finfo(epsilon.dtype).tiny, epsilon, 1)


def barycentric(
    x: Float[Array, "*batch d"],
    y: Float[Array, "m d"],
    values: Float[Array, "m k"],
    *,
    potential: Float[Array, "m"],
    weight: Float[Array, "m"],
    epsilon: Float[Array, ""],
) -> Float[Array, "*batch k"]:
    """Σⱼ wⱼ valueⱼ with weights wⱼ ∝ bⱼ exp((gⱼ − ‖x − yⱼ‖²)/ε) that add up to 1.

    In slabs of 256 rows of x, computed again for the gradient: memory linear in the rows.
    """
    dtype = jnp.promote_types(x.dtype, y.dtype)
    x, batch = x.astype(dtype).reshape(-1, x.shape[-1]), x.shape[:-1]
    y, values, potential = (z.astype(dtype) for z in (y, values, potential))
    # A common shift changes no distance, and keeps the digits far from the origin.
    centre = matmul(weight.astype(dtype)[None], y)
    x, y, keep = x - centre, y - centre, weight > 0
    bias = potential / epsilon - jnp.sum(y * y, axis=1) / epsilon
    bias = bias + jnp.log(jnp.where(keep, weight, 1)).astype(dtype)
    keys = (2 / epsilon * y).T

    @jax.checkpoint
    def slab(rows: Float[Array, "block d"]) -> Float[Array, "block k"]:
        return matmul(masked_softmax(matmul(rows, keys) + bias, keep), values)

    mapped = jax.lax.map(lambda row: slab(row[None])[0], x, batch_size=_BLOCK)
    return mapped.reshape(*batch, values.shape[1])
