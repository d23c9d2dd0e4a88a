"""Many steps in one compiled program, one compilation whatever the number of steps."""

from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array

from crossmodal_jax._typing import PyTree


def run_dispatches(
    advance: Callable[[PyTree, Array], tuple[PyTree, dict[str, Array]]],
    state: PyTree,
    *,
    first_step: int,
    num_steps: int,
    steps_per_dispatch: int,
    on_dispatch: Callable[[PyTree, dict[str, Any]], bool | None] | None,
) -> tuple[PyTree, dict[str, Array]]:
    """Applies `advance(state, step)` for every step in [first_step, num_steps).

    The caller's `state` stays valid: it is copied once, and the copy is donated from dispatch to
    dispatch. Returns the last state and the metrics stacked along a new leading axis.
    """
    dispatch, consts, shapes = _compile(advance, state, steps_per_dispatch)
    state = jax.tree.map(jnp.copy, state)
    history = []
    for first in range(first_step, num_steps, steps_per_dispatch):
        count = min(steps_per_dispatch, num_steps - first)
        state, metrics = dispatch(consts, state, jnp.int32(first), jnp.int32(count))
        if on_dispatch is not None:
            metrics = jax.device_get(metrics)
        metrics = jax.tree.map(lambda m, count=count: m[:count], metrics)
        history.append(metrics)
        if on_dispatch is not None and on_dispatch(state, metrics):
            break
    empty = jax.tree.map(lambda s: jnp.zeros((0, *s.shape), s.dtype), shapes)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), empty, *history)


def hoist(function: Callable[..., Any], *args: PyTree) -> tuple[Callable[..., Any], list, Any]:
    """Traces `function` once and makes the arrays that it closes over an argument.

    As constants they would be written into the program: a copy of the data set for every
    compilation. Returns `hoisted(consts, *args)`, `consts`, and the shapes of the result.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    structure = jax.tree.structure(shapes)

    def hoisted(consts, *args):
        program = jex.jaxpr_as_fun(jex.ClosedJaxpr(closed.jaxpr, consts))
        return jax.tree.unflatten(structure, program(*jax.tree.leaves(args)))

    return hoisted, closed.consts, shapes


def _compile(advance, state, length: int):
    """The jitted `dispatch(consts, state, first, count)`, its constants, the metrics' shapes.

    The number of steps is a run-time value, so that a last short dispatch compiles nothing, and so
    that the compiler sees one and the same loop body however a run is cut: the bits do not depend
    on it.
    """
    step, consts, (_, shapes) = hoist(advance, state, jnp.int32(0))

    def dispatch(consts, state, first, count):
        def body(i, carry):
            state, history = carry
            state, metrics = step(consts, state, first + i)
            return state, jax.tree.map(lambda h, m: h.at[i].set(m), history, metrics)

        history = jax.tree.map(lambda s: jnp.zeros((length, *s.shape), s.dtype), shapes)
        return jax.lax.fori_loop(jnp.int32(0), count, body, (state, history))

    # A state laid out over a mesh keeps its layout, else the second dispatch would compile again.
    layout = jax.tree.map(
        lambda leaf: leaf.sharding if isinstance(leaf.sharding, NamedSharding) else None, state
    )
    jitted = jax.jit(dispatch, donate_argnums=1, out_shardings=(layout, None))
    return jitted, consts, shapes
