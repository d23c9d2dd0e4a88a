"""What a training run carries from step to step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PRNGKeyArray

from crossmodal_jax._typing import PyTree


class TrainState(NamedTuple):
    """Everything a run needs to go on: save it, restore it, and the run is the same run.

    Attributes:
      step: Steps taken so far, skipped ones included, int32 [].
      params: The learned pytree.
      opt_state: State of the optimiser.
      key: The run's random key; it never changes, each step folds its number into it.
      skipped: Steps whose loss, gradient or update was not finite, int32 [].
    """

    step: Int[Array, ""]
    params: PyTree
    opt_state: PyTree
    key: PRNGKeyArray
    skipped: Int[Array, ""]


def init_state(params: PyTree, tx: optax.GradientTransformation, key: PRNGKeyArray) -> TrainState:
    """State at step 0.

    Args:
      params: Pytree of floating-point arrays of any shape; weakly typed leaves get a firm dtype,
        so that a step returns exactly the types that it took.
      tx: The optimiser, as optax makes it.
      key: Random key, `jax.random.key(seed)`.

    Returns:
      A `TrainState` whose `step` and `skipped` are int32 scalars, shape [], of value 0.

    Examples:
      >>> import jax, jax.numpy as jnp, optax
      >>> state = init_state({"w": jnp.ones(3)}, optax.sgd(0.1), jax.random.key(0))
      >>> print(state.step, state.params["w"])
      0 [1. 1. 1.]
    """
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), params)
    zero = jnp.zeros((), jnp.int32)
    return TrainState(zero, params, tx.init(params), key, zero)
