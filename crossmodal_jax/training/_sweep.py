"""Whole runs side by side: one compilation trains every configuration."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from crossmodal_jax._typing import PyTree
from crossmodal_jax.training._dispatch import hoist, run_dispatches
from crossmodal_jax.training._fit import check_steps
from crossmodal_jax.training._state import TrainState
from crossmodal_jax.training._step import Step

Run = Callable[[Any], tuple[TrainState, Step, Callable[[PyTree], Array]]]


class SweepResult(NamedTuple):
    """What `sweep` found, configuration by configuration.

    Attributes:
      scores: Score of each configuration, shape [k]; NaN where a run diverged.
      best: Index of the highest finite score, int32 []; 0 if there is none.
      state: Final states; every leaf has a leading axis k.
      metrics: Metrics of every step, each of shape [num_steps, k].
    """

    scores: Float[Array, "k"]
    best: Int[Array, ""]
    state: TrainState
    metrics: dict[str, Array]


def sweep(
    run: Run,
    hyperparams: PyTree,
    get_batch: Callable[[Array], PyTree],
    *,
    num_steps: int,
    steps_per_dispatch: int | None = None,
    on_dispatch: Callable[[TrainState, dict[str, Any]], bool | None] | None = None,
) -> SweepResult:
    """Trains and scores k configurations at once, by `vmap` over whole runs.

    `run` is written as for one configuration; its hyperparameters are traced, so the optimiser is
    built inside it: `optax.adamw(hyper["learning_rate"])`. A seed is a hyperparameter too. The
    batches are loaded once and shared, so configurations differ in what is swept, and nothing else.

    Args:
      run: `run(hyper) -> (state, step, score)`: the initial `TrainState`, the step, as
        `make_train_step` builds it, and `score(params) -> []`, higher is better.
      hyperparams: Pytree of arrays with one leading axis k, see `hyperparameter_grid`.
      get_batch: Traceable `get_batch(step) -> batch`, as for `fit`.
      num_steps: Steps of each run.
      steps_per_dispatch: Steps between two returns to Python; None runs all in one dispatch.
      on_dispatch: Called after each dispatch with the k states and the metrics of its steps, NumPy
        arrays of shape [steps, k]. To return True ends training; what there is, is scored.

    Returns:
      A `SweepResult`: scores of shape [k], the index of the best, final states and metrics.

    Raises:
      ValueError: If the leaves of `hyperparams` do not share one leading axis, or if a number of
        steps is below 0 (`num_steps`) or 1 (`steps_per_dispatch`).

    Examples:
      >>> import jax, jax.numpy as jnp, optax
      >>> from crossmodal_jax.training import init_state, make_train_step
      >>> def run(hyper):
      ...     tx = optax.sgd(hyper["learning_rate"])
      ...     loss_fn = lambda params, batch, key: ((params - batch) ** 2, {})
      ...     state = init_state(jnp.float32(0.0), tx, jax.random.key(0))
      ...     return state, make_train_step(loss_fn, tx), lambda params: -jnp.abs(params - 1.0)
      >>> hyperparams = hyperparameter_grid(learning_rate=[0.01, 0.1, 2.0])
      >>> result = sweep(run, hyperparams, lambda step: jnp.float32(1.0), num_steps=20)
      >>> print(result.scores.shape, result.best, hyperparams["learning_rate"][result.best])
      (3,) 1 0.1
    """
    if steps_per_dispatch is None:
        steps_per_dispatch = max(num_steps, 1)
    check_steps("sweep", 0, num_steps, steps_per_dispatch)
    hyperparams = jax.tree.map(jnp.asarray, hyperparams)
    _check_axis(hyperparams)

    def advance(state, number):
        batch = get_batch(number)
        return jax.vmap(lambda hyper, state: run(hyper)[1](state, batch))(hyperparams, state)

    state, metrics = run_dispatches(
        advance,
        _run_compiled(jax.vmap(lambda hyper: run(hyper)[0]), hyperparams),
        first_step=0,
        num_steps=num_steps,
        steps_per_dispatch=steps_per_dispatch,
        on_dispatch=on_dispatch,
    )
    score = jax.vmap(lambda hyper, params: run(hyper)[2](params))
    scores = _run_compiled(score, hyperparams, state.params)
    best = jnp.argmax(jnp.where(jnp.isfinite(scores), scores, -jnp.inf)).astype(jnp.int32)
    return SweepResult(scores, best, state, metrics)


def hyperparameter_grid(**values: Sequence[Any] | np.ndarray | Array) -> dict[str, Array]:
    """Every combination of the values, the last name varying fastest.

    Args:
      **values: Values to try by name, each a sequence of numbers, shape [n_i].

    Returns:
      Dict of arrays of shape [k], k = Π n_i: float32 for numbers with a fraction, int32 for
      whole ones.

    Raises:
      ValueError: If nothing is to be tried: no name, or a name without values.

    Examples:
      >>> grid = hyperparameter_grid(learning_rate=[0.1, 0.01], seed=range(2))
      >>> print(grid["learning_rate"], grid["seed"])
      [0.1  0.1  0.01 0.01] [0 1 0 1]
    """
    empty = [name for name, tried in values.items() if len(tried) == 0]
    if empty or len(values) == 0:
        raise ValueError(
            f"hyperparameter_grid: every name needs values to try, got none for {empty or 'all'}; "
            "give one value to hold it fixed."
        )
    columns = zip(*itertools.product(*values.values()), strict=True)
    return {name: jnp.asarray(column) for name, column in zip(values, columns, strict=True)}


def _run_compiled(function: Callable[..., Any], *args: PyTree) -> Any:
    hoisted, consts, _ = hoist(function, *args)
    return jax.jit(hoisted)(consts, *args)


def _check_axis(hyperparams: PyTree) -> None:
    shapes = {
        jax.tree_util.keystr(path): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(hyperparams)
    }
    if len({shape[:1] for shape in shapes.values()} - {()}) != 1 or () in shapes.values():
        raise ValueError(
            "sweep: leaves of `hyperparams` must share one leading axis k, one entry for each "
            f"configuration, got shapes {shapes}; repeat what all configurations share."
        )
