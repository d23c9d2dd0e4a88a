"""Entropic transport: checks of the arguments and choice of the implementation."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels._dispatch import dispatch
from crossmodal_jax.kernels.transport import _streamed, _xla
from crossmodal_jax.numerics import safe_divide, zero_absent

_IMPLEMENTATIONS = {"streamed": _streamed.sinkhorn, "xla": _xla.sinkhorn}


def sinkhorn(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    epsilon: Float[ArrayLike, ""] | float,
    a: Float[ArrayLike, "n"] | None = None,
    b: Float[ArrayLike, "m"] | None = None,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
    max_iterations: int = 2000,
    tolerance: Float[ArrayLike, ""] | float = 1e-3,
    implementation: str | Sequence[str] | None = None,
) -> _xla.Sinkhorn:
    """Entropic optimal transport between two clouds by Sinkhorn's iterations.

    With Cᵢⱼ = ‖xᵢ − yⱼ‖² it minimises ⟨P, C⟩ + ε KL(P ‖ abᵀ) over the plans P with marginals
    a and b. The solution is Pᵢⱼ = aᵢbⱼ exp((fᵢ + gⱼ − Cᵢⱼ)/ε), where in turn
    fᵢ = −ε log Σⱼ bⱼ exp((gⱼ − Cᵢⱼ)/ε) and gⱼ = −ε log Σᵢ aᵢ exp((fᵢ − Cᵢⱼ)/ε), from g = 0 for
    the clouds moved to a common mean, until the marginals hold to `tolerance`. Of the constant
    that may move from f to g, each gets its share: Σ aᵢfᵢ = Σ bⱼgⱼ.

    The gradient of `value` with respect to x, y, a, b and ε is that of the envelope theorem,
    Σⱼ 2Pᵢⱼ(xᵢ − yⱼ) for xᵢ, so it needs no derivative of the iterations; it is as exact as the
    potentials are, and holds once: second derivatives are not those of the cost. The potentials
    themselves are constants under differentiation.

    Args:
      x: Points of the first cloud, shape [n, d].
      y: Points of the second cloud, shape [m, d].
      epsilon: Strength ε > 0 of the entropy, in the unit of the cost; may be traced.
      a: Weights ≥ 0 of the rows of x, shape [n]; they are divided by their sum. None: all alike.
      b: Weights of the rows of y, shape [m].
      where: Rows of x to keep, shape [n]. A dropped row has weight 0, and what it holds has no
        influence.
      where_y: Rows of y to keep, shape [m].
      max_iterations: Most iterations, at least 1; each is an update of f and one of g.
      tolerance: The iterations end when Σᵢ |Σⱼ Pᵢⱼ − aᵢ| ≤ tolerance, which may be
        traced; below 0 all of them are done.
      implementation: `"xla"` (the cost matrix), `"streamed"` (slabs of 256 rows, memory linear in
        n and in m, one product and one exponential per entry and iteration), or a sequence of
        them; None chooses.

    Returns:
      `Sinkhorn(f, g, value, error, num_iterations)`, float32 at least; value 0 if nothing is kept.

    Raises:
      ValueError: If x and y are not matrices of one width, a weight or mask has another length,
        `max_iterations` is below 1, or `implementation` is unknown.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([[3.0], [2.0]])
      >>> result = sinkhorn(x, y, epsilon=0.01)
      >>> print(jnp.round(result.value, 1))
      4.0

    References:
      Cuturi, `Sinkhorn Distances: Lightspeed Computation of Optimal Transport
      <https://arxiv.org/abs/1306.0895>`_, 2013.
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            "sinkhorn: `x` and `y` must be matrices [n, d] and [m, d] of one width, got "
            f"x.shape={x.shape} and y.shape={y.shape}; map both into one space first."
        )
    if max_iterations < 1:
        raise ValueError(
            f"sinkhorn: `max_iterations` must be at least 1, got {max_iterations}; f and g are "
            "found by iterating."
        )
    dtype = np.promote_types(jnp.promote_types(x.dtype, y.dtype), jnp.float32)
    a, b = _check_weight("a", a, x.astype(dtype)), _check_weight("b", b, y.astype(dtype))
    x, a, mean_x = _centred(x.astype(dtype), a, where)
    y, b, mean_y = _centred(y.astype(dtype), b, where_y)
    epsilon, tolerance = jnp.asarray(epsilon, dtype), jnp.asarray(tolerance, dtype)
    found = dispatch(
        "sinkhorn",
        _IMPLEMENTATIONS,
        implementation,
        x,
        y,
        a=a,
        b=b,
        epsilon=epsilon,
        max_iterations=max_iterations,
        tolerance=tolerance,
    )
    # A common shift of one cloud adds to the cost a function of i and one of j.
    shift = mean_x - mean_y
    square = jnp.sum(shift * shift)
    balance = (jnp.sum(b * found.g) - jnp.sum(a * found.f)) / 2
    f = found.f + 2 * _dot(x, shift) + balance + square / 2
    g = found.g - 2 * _dot(y, shift) - balance + square / 2
    value = found.value + jnp.sum(a) * jnp.sum(b) * square
    f, g = jax.lax.stop_gradient((jnp.where(a > 0, f, 0), jnp.where(b > 0, g, 0)))
    return found._replace(f=f, g=g, value=value)


def _check_weight(name: str, weight: ArrayLike | None, x: Array) -> Float[Array, "n"]:
    if weight is None:
        return jnp.ones(x.shape[0], x.dtype)
    weight = jnp.asarray(weight, x.dtype)
    if weight.shape != x.shape[:1]:
        raise ValueError(
            f"sinkhorn: `{name}` must have one weight per row of its cloud, shape {x.shape[:1]}, "
            f"got {name}.shape={weight.shape}; leave it out for equal weights."
        )
    return weight


def _centred(x: Array, weight: Array, where: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Kept rows minus their mean, weights that add up to 1, and the mean."""
    keep = check_where("sinkhorn", where, x.shape[:1])
    x, weight = zero_absent(x, keep), zero_absent(weight, keep)
    weight = safe_divide(weight, jnp.sum(weight))
    mean = jnp.matmul(weight, x, precision="highest")
    return zero_absent(x - mean, keep), weight, mean


def _dot(x: Float[Array, "n d"], v: Float[Array, "d"]) -> Float[Array, "n"]:
    return jnp.matmul(x, v, precision="highest")
