"""Sinkhorn's iteration in slabs of rows: the cost matrix never exists as a whole.

With α = (f − ‖x‖²)/ε and β = log b + (g − ‖y‖²)/ε the entries Pᵢⱼ/aᵢ are
exp(2⟨xᵢ, yⱼ⟩/ε + αᵢ + βⱼ). Once an iteration has been done they are at most bⱼ/aᵢ, their row
sums at least the smallest b, and the column sums of P at least bⱼ times the smallest a, so that
only the first iteration has to subtract maxima. A slab holds whole rows, so their sums are known
before the slab is left, and its entries divided by them give its part of the column sums: one
product and one exponential per entry make a whole iteration.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax.kernels.pair_sums import by_rows
from crossmodal_jax.kernels.transport._xla import Sinkhorn
from crossmodal_jax.numerics import dot_scores, masked_logsumexp


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
    """The same iterations in the memory of a slab of the cost."""
    x0, y0, a0, b0, eps = jax.lax.stop_gradient((x, y, a, b, epsilon))
    squares_x, squares_y = jnp.sum(x0 * x0, axis=1), jnp.sum(y0 * y0, axis=1)
    x0 *= 2 / eps
    log_b = jnp.log(jnp.where(b0 > 0, b0, 1))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        alpha, beta, _, iteration = state
        sums, columns = _one_pass(x0, y0, a0, alpha, beta)
        error = jnp.sum(a0 * jnp.where(jnp.isneginf(alpha), 0, jnp.abs(sums - 1)))
        alpha -= jnp.log(jnp.where(sums > 0, sums, 1))
        beta += jnp.where(columns > 0, log_b - jnp.log(jnp.where(columns > 0, columns, 1)), 0)
        return alpha, beta, error, iteration + 1

    def unfinished(state: tuple[Array, ...]) -> Array:
        return (state[2] > tolerance) & (state[3] < max_iterations)

    # The potential g = 0 to begin with.
    beta = _log(b0) - squares_y / eps
    alpha = -_log_sums(x0, y0, beta)
    alpha = jnp.where(jnp.isfinite(alpha), alpha, -jnp.inf)
    beta = _log_sums(y0, x0, _log(a0) + alpha)
    beta = jnp.where((b0 > 0) & jnp.isfinite(beta), log_b - beta, -jnp.inf)
    start = alpha, beta, jnp.full_like(jnp.sum(squares_x), jnp.inf), jnp.int32(1)
    alpha, beta, error, iterations = jax.lax.while_loop(unfinished, step, start)
    f = jnp.where(jnp.isneginf(alpha), 0, eps * alpha + squares_x)
    g = jnp.where(b0 > 0, eps * (beta - log_b) + squares_y, 0)
    g = jnp.where(jnp.isneginf(g), 0, g)
    logits = _log(a) + f / epsilon, _log(b) + g / epsilon
    mass = _mass(x, y, epsilon, logits)
    value = jnp.sum(a * f) + jnp.sum(b * g) + epsilon * (jnp.sum(a) * jnp.sum(b) - mass)
    return Sinkhorn(f, g, value, error, iterations)


def _one_pass(x: Array, y: Array, a: Array, alpha: Array, beta: Array) -> tuple[Array, Array]:
    """Row sums of exp(⟨x, y⟩ + α + β), and column sums after the rows are divided by theirs."""

    def of_rows(rows: tuple[Array, ...]) -> tuple[Array, Array]:
        x, weight, alpha = rows
        entries = jnp.exp(_product(x, y) + alpha[:, None] + beta)
        sums = jnp.sum(entries, axis=1)
        scaled = weight / jnp.where(sums > 0, sums, 1)
        return sums, jnp.matmul(scaled, entries, precision="highest")

    return by_rows(of_rows, (x, a, alpha), num_columns=len(y))


def _log_sums(x: Array, y: Array, beta: Array) -> Float[Array, "n"]:
    """log Σⱼ exp(⟨x, yⱼ⟩ + βⱼ) with maxima subtracted: right for any β."""

    def of_rows(x: Array) -> tuple[Array, None]:
        return masked_logsumexp(_product(x, y) + beta, ~jnp.isneginf(beta), axis=1), None

    return by_rows(of_rows, x, num_columns=len(y))[0]


def _mass(x: Array, y: Array, epsilon: Array, logits: tuple[Array, Array]) -> Array:
    """Σᵢⱼ Pᵢⱼ, whose gradient needs no more than a slab of it either."""
    alpha = logits[0] - jnp.sum(x * x, axis=1) / epsilon
    beta = logits[1] - jnp.sum(y * y, axis=1) / epsilon

    def of_rows(rows: tuple[Array, Array]) -> tuple[Array, None]:
        x, alpha = rows
        return jnp.sum(jnp.exp(_product(x, y) + alpha[:, None] + beta), axis=1), None

    return jnp.sum(by_rows(of_rows, (2 / epsilon * x, alpha), num_columns=len(y))[0])


def _log(weight: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The logarithm, −∞ with gradient 0 at 0."""
    return jnp.where(weight > 0, jnp.log(jnp.where(weight > 0, weight, 1)), -jnp.inf)


def _product(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    return dot_scores(x, y, precision="highest")
