"""Norms and divisions that stay finite, in value and gradient, where the plain ones do not."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike


def safe_norm(
    x: Float[ArrayLike, "*shape"], *, axis: int = -1, keepdims: bool = False
) -> Float[Array, "..."]:
    """Euclidean norm, finite in value and gradient for any finite input.

    ‖x‖ = c · √(Σ (xₖ/c)²) with c = max |xₖ|, so that entries of 1e30 do not overflow in float32.
    The gradient x/‖x‖ is taken as 0 at x = 0, where a plain square root gives NaN.

    Args:
      x: Vectors along `axis`, any shape [*shape].
      axis: The axis that is reduced.
      keepdims: Whether the reduced axis stays, with size 1.

    Returns:
      The norms, shape [*shape] without `axis`, in the dtype of `x`.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> print(safe_norm(jnp.array([3.0, 4.0])))
      5.0
      >>> print(jax.grad(safe_norm)(jnp.zeros(2)))
      [0. 0.]
    """
    x = jnp.asarray(x)
    scaled, scale, nonzero = _rescale(x, axis)
    squares = jnp.sum(scaled * scaled, axis=axis, keepdims=True)
    norm = scale * jnp.sqrt(jnp.where(nonzero, squares, 1))
    norm = jnp.where(nonzero, norm, 0).astype(x.dtype)
    return norm if keepdims else jnp.squeeze(norm, axis)


def normalize(x: Float[ArrayLike, "*shape"], *, axis: int = -1) -> Float[Array, "*shape"]:
    """Scales vectors to unit Euclidean length; a zero vector stays zero.

    x/‖x‖ does not depend on the scale of x, so each vector is divided by its largest entry
    first: nothing overflows or underflows between the smallest and the largest normal number.
    At x = 0 value and gradient are 0.

    Args:
      x: Vectors along `axis`, any shape [*shape].
      axis: The axis that holds a vector.

    Returns:
      Unit vectors, shape [*shape], in the dtype of `x`; computed in float32 at least.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(normalize(jnp.array([[3e30, 4e30], [0.0, 0.0]])))
      [[0.6 0.8]
       [0.  0. ]]
    """
    x = jnp.asarray(x)
    scaled, _, nonzero = _rescale(x, axis)
    squares = jnp.sum(scaled * scaled, axis=axis, keepdims=True)
    unit = scaled * jax.lax.rsqrt(jnp.where(nonzero, squares, 1))
    return jnp.where(nonzero, unit, 0).astype(x.dtype)


def _rescale(x: Array, axis: int) -> tuple[Array, Array, Array]:
    """Returns x/c in float32 at least, c = max |x| along `axis`, and whether c > 0."""
    x = x.astype(np.promote_types(x.dtype, jnp.float32))
    # Constant under differentiation: the results do not depend on c.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True))
    # Subnormal numbers are flushed to zero on most devices, so they count as zero here.
    nonzero = largest >= jnp.finfo(x.dtype).tiny
    scale = jnp.where(nonzero, largest, 1)
    return jnp.where(nonzero, x, 0) / scale, scale, nonzero


def safe_divide(
    x: Float[ArrayLike, "*shape"], y: Float[ArrayLike, "*#shape"]
) -> Float[Array, "*shape"]:
    """Divides, with 0 (and zero gradient) where the denominator is 0.

    Args:
      x: Numerators, shape [*shape].
      y: Denominators, a shape that broadcasts with [*shape].

    Returns:
      x / y where y ≠ 0, else 0, shape [*shape].

    Examples:
      >>> import jax.numpy as jnp
      >>> print(safe_divide(jnp.array([1.0, 1.0]), jnp.array([2.0, 0.0])))
      [0.5 0. ]
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    nonzero = y != 0
    return jnp.where(nonzero, x / jnp.where(nonzero, y, 1), 0)


def signed_sqrt(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Signed square root sgn(x)·√|x|, with gradient 0 at 0.

    The true derivative is unbounded as x → 0; at x = 0 itself, where automatic
    differentiation of the plain form gives NaN, it is taken as 0.

    Args:
      x: Numbers, any shape [*shape].

    Returns:
      sgn(x)·√|x|, shape [*shape].

    Examples:
      >>> import jax.numpy as jnp
      >>> print(signed_sqrt(jnp.array([-4.0, 0.0, 9.0])))
      [-2.  0.  3.]
    """
    x = jnp.asarray(x)
    nonzero = x != 0
    root = jnp.sqrt(jnp.where(nonzero, jnp.abs(x), 1))
    return jnp.where(nonzero, jnp.sign(x) * root, 0)
