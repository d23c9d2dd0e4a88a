"""Rows that are spread over devices: the blocks of one side travel around a ring.

Each device keeps its rows of x. Its rows of y start where they are, are compared with the x that
is there, and go on to the next device, together with what is gathered about them, until they
are home: as many steps as devices, in each of which a device sends one block and receives one.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from crossmodal_jax.kernels.pair_sums._counts import count_matches
from crossmodal_jax.kernels.pair_sums._sides import Sides

AxisName = str | tuple[str, ...]
Step = Callable[[Any, Any, Any], tuple[Any, Any]]


def varying(sides: Sides, axis_name: AxisName | None) -> Sides:
    """The sides, all of them of one type: that of what differs from device to device.

    Inside `shard_map` what is added up in a loop must be of the type of what is added to it. The
    slope of a scale that all devices share is summed over them here, once.
    """
    axes = {axis_name} if isinstance(axis_name, str) else set(axis_name or ())
    axes = axes.union(*map(_axes_of, jax.tree.leaves(sides)))

    def vary(v: Array) -> Array:
        missing = tuple(sorted(axes - _axes_of(v)))
        return jax.lax.pcast(v, missing, to="varying") if missing else v

    return jax.tree.map(vary, sides)


def around(axis_name: AxisName, step: Step, here: Any, travelling: Any) -> tuple[Any, Any]:
    """Folds `step(is_home, here, travelling)` over the devices, and returns both states.

    What travels moves on after each step; it may do so while the next one runs, as far as the
    step hands it on unchanged.
    """
    size = jax.lax.axis_size(axis_name)
    to_next = [(i, (i + 1) % size) for i in range(size)]

    def move(state: tuple[Any, Any], hop: Array) -> tuple[tuple[Any, Any], None]:
        here, travelling = step(hop == 0, *state)
        return (here, jax.lax.ppermute(travelling, axis_name, to_next)), None

    return jax.lax.scan(move, (here, travelling), jnp.arange(size))[0]


def at_block(sides: Sides, is_home: Array, block: tuple[Any, ...]) -> Sides:
    """The rows of x here beside a block (y, keep_y, label_y); only at home is a row excluded."""
    y, keep_y, label_y = block
    labels = None if sides.labels is None else (sides.labels[0], label_y)
    exclude = None if sides.exclude is None else jnp.where(is_home, sides.exclude, -1)
    return sides._replace(y=y, keep_y=keep_y, labels=labels, exclude=exclude)


def block_of(sides: Sides, precision: jnp.dtype) -> tuple[Any, ...]:
    """What of the other side travels: no more of the numbers than the products take."""
    label_y = None if sides.labels is None else sides.labels[1]
    return sides.y.astype(precision), sides.keep_y, label_y


def ring_counts(sides: Sides, axis_name: AxisName) -> tuple[Int[Array, "n"], Int[Array, "m"]]:
    """Numbers of matches among the rows of all devices."""

    def step(is_home: Array, rows: Array, travelling: Any) -> tuple[Array, Any]:
        keep_y, label_y, columns = travelling
        more = count_matches(at_block(sides, is_home, (sides.y, keep_y, label_y)))
        return rows + more[0], (keep_y, label_y, columns + more[1])

    none = [jnp.zeros_like(v, int) for v in sides.labels]
    travelling = sides.keep_y, sides.labels[1], none[1]
    rows, (_, _, columns) = around(axis_name, step, none[0], travelling)
    return rows, columns


def _axes_of(v: Array) -> frozenset[str]:
    """Axes of a mesh along which the devices hold different numbers, inside `shard_map`."""
    return jax.typeof(v).mat.varying
