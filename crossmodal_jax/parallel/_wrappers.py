"""Functions of rows on any mesh: their collectives by the compiler, or in a ring."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array


def any_mesh(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which also takes arrays of a mesh with Explicit axes.

    On such a mesh the layout of an array is part of its type, and the product x·yᵀ of two sides
    whose rows are split is an error. Inside of `function` those axes are Auto: the compiler
    places the collectives. Without Explicit axes nothing is changed.

    Args:
      function: A function of arrays and anything else, such as a loss.

    Returns:
      A function of the same arguments and results, whose shapes are those of `function`. A result
      whose first axis has the length of that of the first array on the mesh is laid out like it,
      any other one is whole on every device.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax import losses
      >>> mesh = jax.make_mesh((1,), ("data",))
      >>> x = jax.device_put(jnp.eye(2), jax.NamedSharding(mesh, jax.P("data")))
      >>> print(any_mesh(losses.clip_loss)(x, x, logit_scale=0.0))
      [0.6931472 0.6931472]
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        arrays, rebuild = _split((args, kwargs))
        # Numbers, which have no rows, may stand before the rows.
        spread = next((a for a in arrays if np.ndim(a) and _explicit_mesh(a) is not None), None)
        if spread is None:
            return function(*args, **kwargs)
        mesh: Any = _explicit_mesh(spread)

        def inner(*arrays: Array) -> Any:
            args, kwargs = rebuild(arrays)
            return function(*args, **kwargs)

        results = jax.eval_shape(inner, *(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays))
        rows, num = jax.typeof(spread).sharding.spec[0], spread.shape[0]
        layout = jax.tree.map(
            lambda r: PartitionSpec(rows) if r.shape[:1] == (num,) else PartitionSpec(), results
        )
        with jax.sharding.use_abstract_mesh(mesh):
            return jax.sharding.auto_axes(inner, axes=mesh.explicit_axes, out_sharding=layout)(
                *arrays
            )

    return run


def over_rows(
    function: Callable[..., Array], mesh: Mesh, *, axis_name: str = "data"
) -> Callable[..., Array]:
    """A function of local rows, such as `ring_clip_loss`, as one of all rows.

    Args:
      function: A function of local rows that takes `axis_name` and returns one value per row.
      mesh: A mesh with the axis, Auto or Explicit.
      axis_name: The axis over which rows are split.

    Returns:
      A function of whole arrays, of the other arguments of `function`, and of one value per row,
      shape [n, ...]. Arrays of at least one axis are split by rows, numbers are the same on all
      devices, and what is no array is passed on. It may be jitted and differentiated.

    Raises:
      ValueError: From the function returned, if the rows do not divide over the axis; from
        `over_rows`, if the mesh has no such axis.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax.parallel import data_mesh, ring_clip_loss
      >>> loss = over_rows(ring_clip_loss, data_mesh(jax.devices()[:1]))
      >>> print(loss(jnp.eye(2), jnp.eye(2), logit_scale=0.0))
      [0.6931472 0.6931472]
    """
    if axis_name not in mesh.axis_names:
        raise ValueError(
            f"over_rows: `axis_name` must be an axis of the mesh, {mesh.axis_names}, got "
            f"{axis_name!r}; make the mesh with `data_mesh`."
        )

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Array:
        arrays, rebuild = _split((args, kwargs))
        specs = [PartitionSpec(axis_name) if np.ndim(a) else PartitionSpec() for a in arrays]
        _check_rows(arrays, mesh.shape[axis_name])
        if mesh.axis_types[mesh.axis_names.index(axis_name)] == AxisType.Explicit:
            arrays = [
                jax.reshard(a, NamedSharding(mesh, s)) for a, s in zip(arrays, specs, strict=True)
            ]

        def local(*arrays: Array) -> Array:
            args, kwargs = rebuild(arrays)
            return function(*args, axis_name=axis_name, **kwargs)

        out = PartitionSpec(axis_name)
        return jax.shard_map(local, mesh=mesh, in_specs=tuple(specs), out_specs=out)(*arrays)

    return run


def _split(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The arrays of a tree, and what puts others in their places."""
    leaves, structure = jax.tree.flatten(tree)
    is_array = [isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves]

    def rebuild(arrays: Sequence[Any]) -> Any:
        rest = iter(arrays)
        new = [next(rest) if a else leaf for leaf, a in zip(leaves, is_array, strict=True)]
        return jax.tree.unflatten(structure, new)

    return [leaf for leaf, a in zip(leaves, is_array, strict=True) if a], rebuild


def _explicit_mesh(array: Any) -> AbstractMesh | None:
    mesh = getattr(getattr(jax.typeof(array), "sharding", None), "mesh", None)
    return mesh if mesh is not None and mesh.explicit_axes else None


def _check_rows(arrays: Sequence[Any], parts: int) -> None:
    uneven = [np.shape(a) for a in arrays if np.ndim(a) and np.shape(a)[0] % parts]
    if uneven:
        raise ValueError(
            f"over_rows: rows must divide over {parts} devices, got shapes {uneven}; choose a "
            f"batch size that is a multiple of {parts}, or pad and mask by `where`."
        )
