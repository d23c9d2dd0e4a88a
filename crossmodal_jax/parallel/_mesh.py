"""Data parallelism: one axis, rows split over it, parameters on every device."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from crossmodal_jax._typing import PyTree

_AXIS = "data"


def data_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh with the one axis "data".

    The axis is Auto: the compiler places the collectives, and code written for one device runs
    unchanged. (`jax.make_mesh` alone makes Explicit axes, under which `x @ y.T` of two row-sharded
    arrays is an error.)

    Args:
      devices: Devices to use; None is all of them, those of other processes included.

    Returns:
      A mesh of shape [len(devices)].

    Raises:
      ValueError: If `devices` is empty.

    Examples:
      >>> import jax
      >>> mesh = data_mesh(jax.devices()[:1])
      >>> print(mesh.axis_names, mesh.size)
      ('data',) 1
    """
    devices = jax.devices() if devices is None else list(devices)
    if len(devices) == 0:
        raise ValueError("data_mesh: `devices` must hold at least one device, got none.")
    return jax.make_mesh((len(devices),), (_AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The layout of a batch: rows split over "data", every other axis whole.

    Args:
      mesh: Mesh with an axis "data".

    Returns:
      Sharding for an array of shape [n, ...] with n divisible by the axis.

    Raises:
      ValueError: If `mesh` has no axis "data".

    Examples:
      >>> import jax
      >>> print(batch_sharding(data_mesh(jax.devices()[:1])).spec)
      P('data',)
    """
    if _AXIS not in mesh.axis_names:
        raise ValueError(
            f"batch_sharding: `mesh` must have an axis {_AXIS!r}, got axes {mesh.axis_names}; "
            "make it with `data_mesh`."
        )
    return NamedSharding(mesh, PartitionSpec(_AXIS))


def shard_batch(batch: PyTree, mesh: Mesh) -> PyTree:
    """Spreads the rows of a batch over the devices.

    With several processes each passes its own rows, and the result is the batch of all of them.

    Args:
      batch: Pytree of arrays of shape [n, ...], n divisible by the devices of `mesh` that belong
        to this process.
      mesh: Mesh with an axis "data".

    Returns:
      The batch with every leaf laid out as `batch_sharding(mesh)`, shape [n, ...], or
      [num_processes · n, ...] with several processes.

    Raises:
      ValueError: If the rows of a leaf do not divide evenly; names each such modality.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> batch = {"sans": jnp.ones((4, 2)), "present": {"sans": jnp.ones(4, bool)}}
      >>> print(shard_batch(batch, data_mesh(jax.devices()[:1]))["sans"].sharding.spec)
      P('data',)
    """
    sharding = batch_sharding(mesh)
    parts = mesh.local_mesh.shape[_AXIS]
    uneven = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.shape(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(batch)
        if np.ndim(leaf) == 0 or np.shape(leaf)[0] % parts != 0
    }
    if uneven:
        raise ValueError(
            f"shard_batch: rows of every modality must divide over {parts} devices, got shapes "
            f"{uneven}; choose a batch size that is a multiple of {parts}, or pad and mask by "
            "`where`."
        )
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), batch
    )


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Puts the whole of `tree` on every device: the layout of a train state.

    Args:
      tree: Pytree of arrays of any shape, random keys included; the same in every process.
      mesh: Any mesh.

    Returns:
      The tree, every leaf of its own shape on each device of `mesh`.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> params = replicate({"w": jnp.ones(3)}, data_mesh(jax.devices()[:1]))
      >>> print(params["w"].sharding.is_fully_replicated)
      True
    """
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
