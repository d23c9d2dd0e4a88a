"""The definition of Sinkhorn's iteration: the whole cost at once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from crossmodal_jax.numerics import masked_logsumexp, squared_distances


class Sinkhorn(NamedTuple):
    """A solution of the entropic transport problem.

    Attributes:
      f: Potential of the rows of x, shape [n]; 0 where the weight is 0.
      g: Potential of the rows of y, shape [m]; 0 where the weight is 0.
      value: The regularised cost, a scalar, with gradients by the envelope theorem.
      error: Σᵢ |Σⱼ Pᵢⱼ − aᵢ| of the plan before the last iteration, a scalar; it never grows,
        and the other marginal is exact.
      num_iterations: Iterations done, an int32 scalar.
    """

    f: Float[Array, "n"]
    g: Float[Array, "m"]
    value: Float[Array, ""]
    error: Float[Array, ""]
    num_iterations: Int[Array, ""]


def sinkhorn(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    *,
    a: Float[Array, "n"],
    b: Float[Array, "m"],
    epsilon: Float[Array, ""],
    max_iterations: int,
    tolerance: Float[Array, ""],
) -> Sinkhorn:
    """Log-domain iterations on the cost matrix [n, m]."""
    cost = squared_distances(x, y)
    # The envelope theorem: at the optimum the potentials are constants of the derivative.
    fixed, a0, b0, eps = jax.lax.stop_gradient((cost, a, b, epsilon))

    def softmin(potential: Array, cost: Array, own: Array, other: Array) -> Array:
        """−ε log Σⱼ bⱼ exp((gⱼ − Cᵢⱼ)/ε), 0 for rows of weight 0."""
        keep = other > 0
        logits = (potential - cost) / eps + jnp.log(jnp.where(keep, other, 1))
        lse = masked_logsumexp(logits, keep, axis=1)
        return jnp.where((own > 0) & jnp.isfinite(lse), -eps * lse, 0)

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        f, g, _, iteration = state
        new_f = softmin(g, fixed, a0, b0)
        # Σⱼ Pᵢⱼ = aᵢ exp((f − f_new)/ε); before the first iteration there is no plan.
        error = jnp.sum(a0 * jnp.abs(jnp.expm1(jnp.minimum((f - new_f) / eps, 80))))
        error = jnp.where(iteration == 0, jnp.inf, error)
        return new_f, softmin(new_f, fixed.T, b0, a0), error, iteration + 1

    def unfinished(state: tuple[Array, ...]) -> Array:
        return (state[2] > tolerance) & (state[3] < max_iterations)

    # Inside `shard_map` what starts as a constant varies as the cost does.
    zero = jnp.sum(jnp.zeros_like(fixed))
    start = jnp.zeros_like(a) + zero, jnp.zeros_like(b) + zero, zero + jnp.inf, jnp.int32(0)
    f, g, error, iterations = jax.lax.while_loop(unfinished, step, start)
    pair = (a[:, None] > 0) & (b > 0)
    logits = jnp.where(pair, (f[:, None] + g - cost) / epsilon, -jnp.inf)
    mass = jnp.sum(a[:, None] * b * jnp.exp(logits))
    value = jnp.sum(a * f) + jnp.sum(b * g) + epsilon * (jnp.sum(a) * jnp.sum(b) - mass)
    return Sinkhorn(f, g, value, error, iterations)
