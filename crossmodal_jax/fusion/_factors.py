"""Products of one factor per modality, in which an absent modality is a factor of ones."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics


def random_kernel(key: Array, shape: tuple[int, ...], variance: float) -> Float[Array, "*shape"]:
    """Returns independent normal numbers of this variance in float32."""
    return jax.random.normal(key, shape, jnp.float32) * variance**0.5


def outer(factors: Sequence[Float[Array, "*batch _"]]) -> Float[Array, "*batch products"]:
    """Returns all products of an entry of each factor, the last factor running fastest."""

    def pair(x: Array, y: Array) -> Array:
        return (x[..., :, None] * y[..., None, :]).reshape(*y.shape[:-1], -1)

    return functools.reduce(pair, factors)


def ones_where_absent(factors: Sequence[Array], mask: Bool[Array, "*batch m"]) -> list[Array]:
    """Returns the factors [*batch, ...], one per modality, with ones for absent modalities."""
    batch = mask.shape[:-1]
    return [
        jnp.where(mask[..., m].reshape(*batch, *[1] * (f.ndim - len(batch))), f, 1)
        for m, f in enumerate(factors)
    ]


def product_over_present(
    factors: Sequence[Float[Array, "*shape"]], mask: Bool[Array, "*batch m"]
) -> Float[Array, "*shape"]:
    """Returns the product of the factors [*batch, ...] of present modalities; 0 if there is none.

    The empty product would be one, a value that nothing in the data stands for.
    """
    product = functools.reduce(jnp.multiply, ones_where_absent(factors, mask))
    return numerics.zero_absent(product, jnp.any(mask, axis=-1))
