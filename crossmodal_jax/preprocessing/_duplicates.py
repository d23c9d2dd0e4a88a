"""Groups of samples that cannot be told apart in some modality."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from crossmodal_jax._typing import ArrayLike


def duplicate_groups(
    *arrays: ArrayLike, present: Sequence[Bool[ArrayLike, "n"]] | None = None
) -> Int[np.ndarray, "n"]:
    """Groups rows that are equal in at least one of the arrays.

    Equality is of bits, so that NaN equals itself and −0.0 differs from 0.0. Groups are the
    connected components: if a equals b in one array and b equals c in another, the three are one
    group. An absent row equals none. Runs on the host in O(rows · arrays), by hashing.

    Args:
      *arrays: Arrays with the same number of rows, shape [n, ...] each; strings too.
      present: One mask [n] per array, True where the row has it; None takes all as present.

    Returns:
      The group of each row, shape [n], numbered from 0 in the order of their first rows.

    Raises:
      ValueError: If there is no array, or row counts or the number of masks differ.
      TypeError: If an array holds objects.

    Examples:
      >>> import numpy as np
      >>> sans = np.array([[1.0], [1.0], [2.0], [0.0], [0.0]])
      >>> serif = np.array([[1.0], [7.0], [7.0], [3.0], [4.0]])
      >>> has_sans = np.array([True, True, True, False, False])
      >>> duplicate_groups(sans, serif, present=[has_sans, np.ones(5, bool)]).tolist()
      [0, 0, 0, 1, 2]
    """
    tables = [np.asarray(x) for x in arrays]
    masks = _masks(tables, present)
    parents = list(range(len(tables[0])))
    for table, mask in zip(tables, masks, strict=True):
        first: dict[bytes, int] = {}
        for row in np.flatnonzero(mask).tolist():
            _union(parents, first.setdefault(table[row].tobytes(), row), row)
    roots = np.array([_root(parents, row) for row in range(len(parents))], np.int64)
    # The root of a group is its first row, so sorted roots are in the order of first rows.
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _root(parents: list[int], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


def _union(parents: list[int], a: int, b: int) -> None:
    a, b = _root(parents, a), _root(parents, b)
    parents[max(a, b)] = min(a, b)


def _masks(tables: list[np.ndarray], present: Sequence[ArrayLike] | None) -> list[np.ndarray]:
    objects = [i for i, x in enumerate(tables) if x.dtype == object]
    if objects:
        raise TypeError(
            f"duplicate_groups: arrays must hold numbers or strings, got objects in {objects}; "
            "convert them with .astype(str)."
        )
    if not tables or any(x.shape[:1] != tables[0].shape[:1] or x.ndim < 1 for x in tables):
        raise ValueError(
            "duplicate_groups: at least one array is required, all with the same rows, got shapes "
            f"{[x.shape for x in tables]}; row i of each must be the same sample."
        )
    if present is None:
        return [np.ones(len(x), bool) for x in tables]
    masks = [np.asarray(mask, bool) for mask in present]
    if [mask.shape for mask in masks] != [x.shape[:1] for x in tables]:
        raise ValueError(
            "duplicate_groups: `present` must have one mask [n] per array, got shapes "
            f"{[mask.shape for mask in masks]} for {len(tables)} arrays of {len(tables[0])} rows; "
            "use np.ones(n, bool) where nothing is absent."
        )
    return masks
