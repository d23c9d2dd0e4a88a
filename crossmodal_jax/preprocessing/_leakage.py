"""A check that no group of samples lies in two parts of a split."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from crossmodal_jax._typing import ArrayLike


def check_leakage(split: Mapping[str, Int[ArrayLike, "_"]], groups: Int[ArrayLike, "n"]) -> None:
    """Raises an error if a group, or a row, lies in more than one part.

    Args:
      split: The rows of each part.
      groups: Group of each row, shape [n]; see `duplicate_groups`.

    Raises:
      ValueError: If a group crosses parts (the first five are named), or a row is out of range.

    Examples:
      >>> import numpy as np
      >>> split = {"train": np.array([0, 1]), "test": np.array([2])}
      >>> check_leakage(split, np.array([0, 0, 1]))
      >>> check_leakage(split, np.array([0, 1, 1]))
      Traceback (most recent call last):
      ValueError: check_leakage: no group may lie in two parts, got 1 that do (first: 1 in test,
      train); split by group, as split_groups does.
    """
    groups = np.asarray(groups)
    parts_of: dict[int, set[str]] = {}
    for name, rows in split.items():
        rows = np.asarray(rows)
        bad = rows[(rows < 0) | (rows >= len(groups))]
        if bad.size:
            raise ValueError(
                f"check_leakage: rows of part {name!r} must lie in [0, {len(groups)}), got "
                f"{bad.size} outside (first: {bad[:5].tolist()}); groups and split must be of the "
                "same samples."
            )
        for group in np.unique(groups[rows]).tolist():
            parts_of.setdefault(group, set()).add(name)
    crossing = sorted(group for group, parts in parts_of.items() if len(parts) > 1)
    if crossing:
        first = "; ".join(f"{g} in {', '.join(sorted(parts_of[g]))}" for g in crossing[:5])
        raise ValueError(
            f"check_leakage: no group may lie in two parts, got {len(crossing)} that do (first: "
            f"{first}); split by group, as split_groups does."
        )
