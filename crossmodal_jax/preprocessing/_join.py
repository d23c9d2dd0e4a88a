"""Joining of modalities that come as separate tables, by the id of the sample."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Shaped

from crossmodal_jax import _checks
from crossmodal_jax._typing import ArrayLike


class Joined(NamedTuple):
    """Aligned modalities: row i of all is the sample `ids[i]`.

    Attributes:
      ids: Ids in ascending order, shape [n].
      modalities: One array [n, ...], or nested dictionary of such arrays, per modality.
      present: Mask of each modality, shape [n].
    """

    ids: Shaped[np.ndarray, "n"]
    modalities: dict[str, Any]
    present: dict[str, Bool[np.ndarray, "n"]]


def join_by_id(
    tables: Mapping[str, tuple[Shaped[ArrayLike, "_"], Any]], *, how: str = "outer"
) -> Joined:
    """Aligns tables by id, whatever the order of their rows.

    Args:
      tables: Per modality its ids [n_m], integers or strings, and its values: an array
        [n_m, ...] or a nested dictionary of such arrays; row i belongs to id i of that table.
      how: "outer" keeps every id of any table, "inner" those of all tables.

    Returns:
      The ids [n] in ascending order, the modalities aligned to them and the mask [n] of each.
      Where a table lacks an id, its values are 0, False or the empty string.

    Raises:
      ValueError: If an id occurs twice in one table, row counts differ within a table, `how` is
        unknown, or there is no table.
      TypeError: If some ids are integers and some are strings.

    Examples:
      >>> import numpy as np
      >>> joined = join_by_id({
      ...     "image": (np.array([3, 1]), np.array([30.0, 10.0])),
      ...     "text": (np.array([1, 2]), np.array(["one", "two"])),
      ... })
      >>> joined.ids.tolist(), joined.modalities["image"].tolist()
      ([1, 2, 3], [10.0, 0.0, 30.0])
      >>> joined.present["text"].tolist()
      [True, True, False]
    """
    _checks.check_choice("join_by_id", "how", how, ("outer", "inner"))
    keys = {name: np.asarray(ids) for name, (ids, _) in tables.items()}
    trees = {name: jax.tree.map(np.asarray, tree) for name, (_, tree) in tables.items()}
    _check_tables(keys, trees)
    ids, counts = np.unique(np.concatenate(list(keys.values())), return_counts=True)
    if how == "inner":
        ids = ids[counts == len(keys)]
    modalities, present = {}, {}
    for name, key in keys.items():
        order = np.argsort(key)
        # An empty table has no row to point at; its rows are all absent.
        nearest = np.minimum(np.searchsorted(key, ids, sorter=order), max(0, len(key) - 1))
        rows = order[nearest] if len(key) else np.zeros(len(ids), int)
        found = key[rows] == ids if len(key) else np.zeros(len(ids), bool)
        modalities[name] = jax.tree.map(lambda x, r=rows, f=found: _gather(x, r, f), trees[name])
        present[name] = found
    return Joined(ids, modalities, present)


def _gather(x: np.ndarray, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
    gathered = np.zeros((len(rows), *x.shape[1:]), x.dtype)
    gathered[found] = x[rows[found]]
    return gathered


def _check_tables(keys: dict[str, np.ndarray], trees: dict[str, Any]) -> None:
    if not keys:
        raise ValueError("join_by_id: at least one table is required, got none; give one per name.")
    kinds = {name: key.dtype.kind for name, key in keys.items()}
    if not (set(kinds.values()) <= set("iu") or set(kinds.values()) <= set("U")):
        dtypes = {name: str(key.dtype) for name, key in keys.items()}
        raise TypeError(
            f"join_by_id: ids must be all integers or all strings, got {dtypes}; convert them "
            "with .astype(str)."
        )
    for name, key in keys.items():
        shapes = [x.shape for x in jax.tree.leaves(trees[name])]
        if key.ndim != 1 or any(shape[:1] != key.shape for shape in shapes):
            raise ValueError(
                f"join_by_id: table {name!r} must have one row per id, got ids of shape "
                f"{key.shape} and values of shapes {shapes}; give ids [n] and values [n, ...]."
            )
        unique, counts = np.unique(key, return_counts=True)
        if len(unique) < len(key):
            twice = unique[counts > 1]
            raise ValueError(
                f"join_by_id: ids of table {name!r} must differ, got {len(twice)} that occur more "
                f"than once (first: {twice[:5].tolist()}); drop the repeated rows."
            )
