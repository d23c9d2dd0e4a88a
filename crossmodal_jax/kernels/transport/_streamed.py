"""Sinkhorn's iteration in slabs of rows: the cost matrix never exists as a whole.

With α = (f − ‖x‖²)/ε and β = log b + (g − ‖y‖²)/ε the entries Pᵢⱼ/aᵢ are
exp(2⟨xᵢ, yⱼ⟩/ε + αᵢ + βⱼ). Once an iteration has been done they are at most bⱼ/aᵢ, their row
sums at least the smallest b, and the column sums of P at least bⱼ times the smallest a, so that
only the first iteration has to subtract maxima. A slab holds whole rows, so their sums are known
before the slab is left, and its entries divided by them give its part of the column sums: one
product and one exponential per entry make a whole iteration.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax.kernels.transport._xla import Sinkhorn
from crossmodal_jax.numerics import dot_scores, masked_logsumexp

_BLOCK = 256


class _Rows(NamedTuple):
    """What belongs to the rows of x, in slabs [k, block, ...]; padding has weight 0."""

    x: Float[Array, "k block d"]
    weight: Float[Array, "k block"]


def sinkhorn(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    *,
    a: Float[Array, "n"],
    b: Float[Array, "m"],
    epsilon: Float[Array, ""],
    max_iterations: int,
    tolerance: Float[Array, ""],
    block: int = _BLOCK,
) -> Sinkhorn:
    """The same iterations in O(block · m + n) memory."""
    x0, y0, a0, b0, eps = jax.lax.stop_gradient((x, y, a, b, epsilon))
    squares_x, squares_y = jnp.sum(x0 * x0, axis=1), jnp.sum(y0 * y0, axis=1)
    block = max(1, min(block, x.shape[0]))
    rows = _Rows(_slabs(2 / eps * x0, block), _slabs(a0, block))
    log_b = jnp.log(jnp.where(b0 > 0, b0, 1))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        alpha, beta, _, iteration = state
        sums, columns = _one_pass(rows, y0, alpha, beta)
        error = jnp.sum(rows.weight * jnp.where(jnp.isneginf(alpha), 0, jnp.abs(sums - 1)))
        alpha -= jnp.log(jnp.where(sums > 0, sums, 1))
        beta += jnp.where(columns > 0, log_b - jnp.log(jnp.where(columns > 0, columns, 1)), 0)
        return alpha, beta, error, iteration + 1

    def unfinished(state: tuple[Array, ...]) -> Array:
        return (state[2] > tolerance) & (state[3] < max_iterations)

    # The potential g = 0 to begin with.
    alpha, beta = _two_passes(rows, y0, _log(b0) - squares_y / eps, b0)
    start = alpha, beta, jnp.full_like(jnp.sum(squares_x), jnp.inf), jnp.int32(1)
    alpha, beta, error, iterations = jax.lax.while_loop(unfinished, step, start)
    alpha = alpha.reshape(-1)[: x.shape[0]]
    f = jnp.where(jnp.isneginf(alpha), 0, eps * alpha + squares_x)
    g = jnp.where(b0 > 0, eps * (beta - log_b) + squares_y, 0)
    g = jnp.where(jnp.isneginf(g), 0, g)
    logits = _log(a) + f / epsilon, _log(b) + g / epsilon
    mass = _mass(x, y, epsilon, logits, block)
    value = jnp.sum(a * f) + jnp.sum(b * g) + epsilon * (jnp.sum(a) * jnp.sum(b) - mass)
    return Sinkhorn(f, g, value, error, iterations)


def _one_pass(rows: _Rows, y: Array, alpha: Array, beta: Array) -> tuple[Array, Array]:
    """Row sums of exp(⟨x, y⟩ + α + β), and column sums after the rows are divided by theirs."""

    def slab(columns: Array, part: tuple[_Rows, Array]) -> tuple[Array, Array]:
        rows, alpha = part
        entries = jnp.exp(_product(rows.x, y) + alpha[:, None] + beta)
        sums = jnp.sum(entries, axis=1)
        scaled = rows.weight / jnp.where(sums > 0, sums, 1)
        return columns + jnp.matmul(scaled, entries, precision="highest"), sums

    columns, sums = jax.lax.scan(slab, jnp.zeros_like(beta), (rows, alpha))
    return sums, columns


def _two_passes(rows: _Rows, y: Array, beta: Array, b: Array) -> tuple[Array, Array]:
    """New α from β, then new β from α, with maxima subtracted: right for any β."""

    def row_slab(part: _Rows) -> Array:
        logits = _product(part.x, y) + beta
        lse = masked_logsumexp(logits, ~jnp.isneginf(beta), axis=1)
        return jnp.where((part.weight > 0) & ~jnp.isneginf(lse), -lse, -jnp.inf)

    alpha = jax.lax.map(row_slab, rows)

    def column_slab(state: tuple[Array, Array], part: tuple[_Rows, Array]) -> tuple[Any, None]:
        rows, alpha = part
        largest, total = state
        logits = _product(rows.x, y) + (_log(rows.weight) + alpha)[:, None]
        new = jnp.maximum(largest, jnp.max(logits, axis=0))
        shift = jnp.where(jnp.isneginf(new), 0, new)
        total = total * jnp.exp(largest - shift) + jnp.sum(jnp.exp(logits - shift), axis=0)
        return (new, total), None

    start = jnp.full_like(beta, -jnp.inf), jnp.zeros_like(beta)
    (largest, total), _ = jax.lax.scan(column_slab, start, (rows, alpha))
    some = (b > 0) & (total > 0)
    shift = jnp.where(some, largest, 0) + jnp.log(jnp.where(some, total, 1))
    return alpha, jnp.where(some, _log(b) - shift, -jnp.inf)


def _mass(x: Array, y: Array, epsilon: Array, logits: tuple[Array, Array], block: int) -> Array:
    """Σᵢⱼ Pᵢⱼ, differentiable in O(block · m) memory: a slab is computed again for its gradient."""
    alpha = logits[0] - jnp.sum(x * x, axis=1) / epsilon
    beta = logits[1] - jnp.sum(y * y, axis=1) / epsilon

    @jax.checkpoint
    def slab(part: tuple[Array, Array]) -> Array:
        x, alpha = part
        return jnp.sum(jnp.exp(_product(x, y) + alpha[:, None] + beta))

    padded = _slabs(jnp.ones_like(alpha), block) == 0
    alpha = jnp.where(padded, -jnp.inf, _slabs(alpha, block))
    return jnp.sum(jax.lax.map(slab, (_slabs(2 / epsilon * x, block), alpha)))


def _slabs(rows: Float[Array, "n *rest"], block: int) -> Float[Array, "k block *rest"]:
    """Rows in slabs of `block`, with zeros after the last one."""
    padding = -rows.shape[0] % block
    rows = jnp.pad(rows, [(0, padding)] + [(0, 0)] * (rows.ndim - 1))
    return rows.reshape(-1, block, *rows.shape[1:])


def _log(weight: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The logarithm, −∞ with gradient 0 at 0."""
    return jnp.where(weight > 0, jnp.log(jnp.where(weight > 0, weight, 1)), -jnp.inf)


def _product(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    return dot_scores(x, y, precision="highest")
