"""Layouts of parameters by rules on their names."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from crossmodal_jax._typing import PyTree


def rule_shardings(tree: PyTree, mesh: Mesh, rules: Sequence[tuple[str, PartitionSpec]]) -> PyTree:
    """The layout of each leaf of a tree of parameters: that of the first rule its name matches.

    A name is the path to a leaf, as in `"towers/0/kernel"`; a rule is a regular expression, looked
    for anywhere in it, and a spec. What no rule matches is whole on every device. Put the tree
    there with `jax.device_put(tree, shardings)`, or pass the layouts to `jax.jit`.

    Args:
      tree: Pytree of arrays of any shape, or of their `jax.ShapeDtypeStruct`.
      mesh: A mesh with the axes that the rules name.
      rules: Pairs of a regular expression and a `jax.P`, first match first.

    Returns:
      A pytree of `NamedSharding`, one for each leaf.

    Raises:
      ValueError: If a rule names an axis that the mesh lacks, or would split an axis of a leaf
        into uneven parts or one that it does not have; names all such leaves.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> mesh = jax.make_mesh((1, 1), ("data", "model"))
      >>> params = {"embedding": jnp.ones((8, 4)), "bias": jnp.ones(4)}
      >>> layout = rule_shardings(params, mesh, [("embedding", jax.P("model", None))])
      >>> print(layout["embedding"].spec, layout["bias"].spec)
      P('model', None) P()
    """
    for pattern, spec in rules:
        unknown = [axis for axis in _axes(spec) if axis not in mesh.axis_names]
        if unknown:
            raise ValueError(
                f"rule_shardings: rule {pattern!r} must name axes of the mesh, {mesh.axis_names}, "
                f"got {unknown}; rename them or make another mesh."
            )
    misfits = {}

    def layout(path: Any, leaf: Any) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        matching = (spec for pattern, spec in rules if re.search(pattern, name))
        spec = next(matching, PartitionSpec())
        if not _fits(spec, np.shape(leaf), mesh):
            misfits[name] = (np.shape(leaf), spec)
        return NamedSharding(mesh, spec)

    shardings = jax.tree_util.tree_map_with_path(layout, tree)
    if misfits:
        raise ValueError(
            f"rule_shardings: every axis that is split must divide over {dict(mesh.shape)}, got "
            f"{misfits}; narrow the rule, or pad what it matches."
        )
    return shardings


def _axes(spec: PartitionSpec) -> list[str]:
    """Names of all axes in a spec."""
    parts = [part if isinstance(part, tuple) else (part,) for part in spec]
    return [axis for part in parts for axis in part if axis is not None]


def _fits(spec: PartitionSpec, shape: tuple[int, ...], mesh: Mesh) -> bool:
    if len(spec) > len(shape):
        return False
    parts = [np.prod([mesh.shape[axis] for axis in _axes(PartitionSpec(p))]) for p in spec]
    return all(size % int(count) == 0 for size, count in zip(shape, parts, strict=False))
