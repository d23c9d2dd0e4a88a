"""The engine: a whole run, many steps per dispatch."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array

from crossmodal_jax._typing import PyTree
from crossmodal_jax.training._dispatch import run_dispatches
from crossmodal_jax.training._state import TrainState
from crossmodal_jax.training._step import Step


def fit(
    step: Step,
    state: TrainState,
    get_batch: Callable[[Array], PyTree],
    *,
    num_steps: int,
    steps_per_dispatch: int = 50,
    on_dispatch: Callable[[TrainState, dict[str, Any]], bool | None] | None = None,
) -> tuple[TrainState, dict[str, Array]]:
    """Trains from `state.step` until exactly `num_steps`, in one compilation.

    This is the one function of the library, with `sweep`, that compiles: a Python loop over a
    jitted step pays for every step what this pays once per dispatch. A run that is stopped, saved,
    restored and continued ends with the same bits as one that never stopped, however either is
    cut into dispatches.

    Args:
      step: `step(state, batch) -> (state, metrics)`, as `make_train_step` builds it.
      state: Where to start. It stays valid; the engine works on a copy, which it donates.
      get_batch: Traceable `get_batch(step) -> batch`, a pure function of the step number, int32
        []. Arrays that it closes over, the data on the device, are passed to the program.
      num_steps: Value of `state.step` at the end, counted over the whole run.
      steps_per_dispatch: Steps between two returns to Python.
      on_dispatch: Called after each dispatch with the state, and its metrics as NumPy arrays of
        shape [steps of this dispatch]. To return True stops the run. The state is valid during
        the call only: save it there, do not keep it.

    Returns:
      The last state, and the metrics stacked, each of shape [steps taken in this call].

    Raises:
      ValueError: If `num_steps` is below `state.step`, or `steps_per_dispatch` below 1.

    Examples:
      >>> import jax, jax.numpy as jnp, optax
      >>> from crossmodal_jax.training import init_state, make_train_step
      >>> data = jnp.arange(8.0)
      >>> loss_fn = lambda params, batch, key: ((params - batch.mean()) ** 2, {})
      >>> tx = optax.sgd(0.1)
      >>> state = init_state(jnp.float32(0.0), tx, jax.random.key(0))
      >>> get_batch = lambda step: jax.random.choice(jax.random.key(step), data, (4,))
      >>> state, metrics = fit(make_train_step(loss_fn, tx), state, get_batch, num_steps=120)
      >>> print(state.step, metrics["loss"].shape)
      120 (120,)
    """
    first_step = int(state.step)
    check_steps("fit", first_step, num_steps, steps_per_dispatch)
    return run_dispatches(
        lambda state, number: step(state, get_batch(number)),
        state,
        first_step=first_step,
        num_steps=num_steps,
        steps_per_dispatch=steps_per_dispatch,
        on_dispatch=on_dispatch,
    )


def check_steps(name: str, first_step: int, num_steps: int, steps_per_dispatch: int) -> None:
    """Raises ValueError where a run cannot go from `first_step` to `num_steps`."""
    if num_steps < first_step:
        raise ValueError(
            f"{name}: `num_steps` must be at least the steps taken, got num_steps={num_steps} "
            f"and state.step={first_step}; it counts from the start of the run."
        )
    if steps_per_dispatch < 1:
        raise ValueError(
            f"{name}: `steps_per_dispatch` must be at least 1, got {steps_per_dispatch}."
        )
