"""Training inside a trace: a scan over guarded steps, whose batches are drawn without state."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, UInt32

from crossmodal_jax import training
from crossmodal_jax._typing import ArrayLike, PyTree

_LEARNING_RATE = 3e-3
INIT, _ORDER, _STEPS = range(3)


class Options(NamedTuple):
    """How a member is trained; the factories document the entries."""

    tx: optax.GradientTransformation | None
    num_steps: int
    batch_size: int
    seed: Int[ArrayLike, ""] | int

    def key(self, purpose: int) -> Array:
        """The random key for one purpose: initial weights, order of the rows, or steps."""
        return jax.random.fold_in(jax.random.key(self.seed), purpose)


def check_options(name: str, options: Options) -> None:
    """Raises if the numbers of steps or rows make no sense."""
    if options.num_steps < 0 or options.batch_size < 1:
        raise ValueError(
            f"{name}: `num_steps` must be at least 0 and `batch_size` at least 1, got num_steps="
            f"{options.num_steps} and batch_size={options.batch_size}; leave them out for the "
            "defaults."
        )


def descend(
    loss: Callable[[PyTree, PyTree, Array], Float[Array, ""]],
    weights: PyTree,
    rows: PyTree,
    keep: Bool[Array, "n"],
    options: Options,
) -> tuple[PyTree, Float[Array, "num_steps"]]:
    """Minimises `loss(weights, batch, key)`, the batches drawn from the kept rows of `rows`.

    The kept rows are put in one random order, which is gone through again and again: batch t has
    its positions t·b … t·b + b − 1, modulo their number. So the run with dropped rows is the run
    without them, and no batch holds a row twice unless there are fewer than b. Returns the weights
    and the loss of each step, at the weights before it.
    """
    order, count = _order(options.key(_ORDER), keep)
    tx = _promoting(options.tx or _default_optimiser(options.num_steps))
    step = training.make_train_step(lambda w, batch, key: (loss(w, batch, key), {}), tx)

    def body(state: training.TrainState, _: None) -> tuple[Any, Array]:
        drawn = order[_positions(state.step, options.batch_size, count)]
        state, metrics = step(state, jax.tree.map(lambda leaf: leaf[drawn], rows))
        return state, metrics["loss"]

    state = training.init_state(weights, tx, options.key(_STEPS))
    state, losses = jax.lax.scan(body, state, None, length=options.num_steps)
    return state.params, losses


def _order(key: Array, keep: Bool[Array, "n"]) -> tuple[Int[Array, "n"], UInt32[Array, ""]]:
    """The kept rows in random order, before the dropped ones; and their number, at least 1."""
    # A key for each rank among the kept rows, so that dropping rows is the same as deleting them.
    ranks = jnp.cumsum(keep, dtype=jnp.uint32)
    bits = jax.vmap(lambda rank: jax.random.bits(jax.random.fold_in(key, rank)))(ranks)
    order = jnp.lexsort((bits, ~keep)).astype(jnp.int32)
    return order, jnp.maximum(jnp.sum(keep, dtype=jnp.uint32), jnp.uint32(1))


def _positions(
    step: Int[Array, ""], batch_size: int, count: UInt32[Array, ""]
) -> UInt32[Array, "b"]:
    # A product beyond 32 bits wraps, which only moves the place where the order is entered.
    first = step.astype(jnp.uint32) * jnp.uint32(batch_size)
    return (first + jnp.arange(batch_size, dtype=jnp.uint32)) % count


def _default_optimiser(num_steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(_LEARNING_RATE, max(num_steps, 1)))


def _promoting(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """`tx` where a user forbids implicit promotion, on which optimisers rely."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        with jax.numpy_dtype_promotion("standard"):
            changes, state = tx.update(updates, state, params)
        # A schedule in float64 must not widen the weights.
        return jax.tree.map(lambda u, g: u.astype(g.dtype), changes, updates), state

    return optax.GradientTransformation(tx.init, update)


def widen(weights: PyTree, dtype: np.dtype) -> PyTree:
    """Weights in the dtype of the data."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), weights)
