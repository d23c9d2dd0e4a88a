"""One guarded optimiser step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from crossmodal_jax._typing import PyTree
from crossmodal_jax.training._state import TrainState

Step = Callable[[TrainState, PyTree], tuple[TrainState, dict[str, Array]]]

_OWN_METRICS = ("loss", "grad_norm", "skipped")


def make_train_step(loss_fn: Callable[..., Any], tx: optax.GradientTransformation) -> Step:
    """Pure `step(state, batch) -> (state, metrics)` that no bad batch can break.

    With g = ∇ loss_fn(params, batch, key) and u the optimiser's update for g, the step is taken if
    the loss, ‖g‖ and ‖u‖ are finite. Otherwise params *and* optimiser state stay as they were, and
    `state.skipped` counts one more. Norms are taken in float32 at least, so a gradient above 1e19,
    whose square would poison the second moments of Adam for ever, counts as not finite.
    The key of a step is `fold_in(state.key, state.step)`: a run is a function of (seed, step).

    Args:
      loss_fn: `loss_fn(params, batch, key) -> (loss, metrics)` with a scalar loss, shape [], and
        a dict of further scalars to record.
      tx: The optimiser.

    Returns:
      The step. Its metrics are those of `loss_fn` and `loss`, `grad_norm` (both []) and `skipped`
      (bool []), this step's own.

    Raises:
      TypeError: While tracing, if `loss_fn` does not return a pair (scalar, dict).
      ValueError: While tracing, if `loss_fn` records a metric named as one of the step's own.

    Examples:
      >>> import jax, jax.numpy as jnp, optax
      >>> from crossmodal_jax.training import init_state
      >>> loss_fn = lambda params, batch, key: (jnp.sum((params - batch) ** 2), {})
      >>> tx = optax.sgd(0.25)
      >>> step = jax.jit(make_train_step(loss_fn, tx))
      >>> state = init_state(jnp.zeros(2), tx, jax.random.key(0))
      >>> state, metrics = step(state, jnp.array([2.0, 4.0]))
      >>> print(state.params, metrics["loss"], metrics["skipped"])
      [1. 2.] 20.0 False
      >>> state, metrics = step(state, jnp.array([jnp.nan, 4.0]))
      >>> print(state.params, state.step, state.skipped)
      [1. 2.] 2 1
    """
    value_and_grad = jax.value_and_grad(_checked(loss_fn), has_aux=True)

    def step(state: TrainState, batch: PyTree) -> tuple[TrainState, dict[str, Array]]:
        key = jax.random.fold_in(state.key, state.step)
        (loss, metrics), grads = value_and_grad(state.params, batch, key)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        grad_norm = _global_norm(grads)
        ok = jnp.isfinite(loss) & jnp.isfinite(grad_norm) & jnp.isfinite(_global_norm(updates))
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(ok, new, old),
            (params, opt_state),
            (state.params, state.opt_state),
        )
        skipped = state.skipped + jnp.logical_not(ok).astype(jnp.int32)
        state = TrainState(state.step + jnp.int32(1), params, opt_state, state.key, skipped)
        return state, {"loss": loss, "grad_norm": grad_norm, "skipped": ~ok, **metrics}

    return step


def _checked(loss_fn: Callable[..., Any]) -> Callable[..., Any]:
    """`loss_fn` with its result checked; all of it happens while tracing."""

    def checked(params, batch, key):
        result = loss_fn(params, batch, key)
        pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
        if not pair or jnp.shape(result[0]) != ():
            got = jax.tree.map(jnp.shape, result)
            raise TypeError(
                "make_train_step: `loss_fn` must return (scalar loss, dict of scalars), got "
                f"shapes {got}; reduce the loss, e.g. `return jnp.mean(losses), {{}}`."
            )
        clash = sorted(set(_OWN_METRICS) & set(result[1]))
        if clash:
            raise ValueError(
                f"make_train_step: metrics of `loss_fn` must not be named {_OWN_METRICS}, got "
                f"{clash}; rename them."
            )
        return result

    return checked


def _global_norm(tree: PyTree) -> Float[Array, ""]:
    """Euclidean norm over all leaves, float32 at least."""
    leaves = jax.tree.leaves(tree)
    dtype = jnp.result_type(jnp.float32, *(jnp.finfo(leaf.dtype).dtype for leaf in leaves))
    squares = [jnp.sum(jnp.square(jnp.abs(leaf).astype(dtype))) for leaf in leaves]
    return jnp.sqrt(sum(squares, start=jnp.zeros((), dtype)))
