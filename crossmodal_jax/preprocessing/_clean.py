"""Cleaning: broken payloads become absent, samples without anything are dropped."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int

from crossmodal_jax._typing import ArrayLike


class CleaningReport(NamedTuple):
    """Counts of what `clean` found, the last three by modality.

    Attributes:
      num_rows: Rows as given.
      num_dropped: Rows without any modality, or without a required one.
      num_missing: Entries that are absent as given.
      num_non_finite: Entries that were present as given, made absent for holding NaN or inf.
      num_present: Entries that are present in the rows that are kept.
    """

    num_rows: int
    num_dropped: int
    num_missing: dict[str, int]
    num_non_finite: dict[str, int]
    num_present: dict[str, int]


class Cleaned(NamedTuple):
    """What `clean` returns: the kept samples and what happened to the others.

    Attributes:
      modalities: The kept rows of each modality, arrays [k, ...].
      present: Mask of each modality, shape [k].
      rows: Which rows were kept, shape [k]; index labels and ids with it.
      report: What was found.
    """

    modalities: dict[str, Any]
    present: dict[str, Bool[np.ndarray, "k"]]
    rows: Int[np.ndarray, "k"]
    report: CleaningReport


def clean(
    modalities: Mapping[str, Any],
    present: Mapping[str, Bool[ArrayLike, "n"]] | None = None,
    *,
    required: Sequence[str] = (),
) -> Cleaned:
    """Makes broken payloads absent, empties absent ones, and drops rows that have nothing.

    An entry that holds NaN or inf anywhere is treated as absent, unlike one with a NaN in its
    padding: in a nested modality with a mask `where` [n, t], only what the mask keeps is judged.
    Numbers of absent entries and of padding become 0, so that nothing can leak from there.

    Args:
      modalities: One array [n, ...], or nested dictionary of such arrays, per modality.
      present: One mask [n] per modality, True where the row has it; None takes all as present.
      required: Modalities without which a row is dropped.

    Returns:
      The cleaned modalities and masks, the rows [k] that were kept, and a report of counts. The
      input is left as it was.

    Raises:
      ValueError: If modalities have different row counts, masks do not match them, or a required
        modality is unknown.

    Examples:
      >>> import numpy as np
      >>> cleaned = clean(
      ...     {"image": np.array([[1.0], [np.nan], [np.inf]]), "text": np.array(["a", "b", ""])},
      ...     {"image": np.ones(3, bool), "text": np.array([True, True, False])},
      ... )
      >>> cleaned.rows.tolist(), cleaned.present["image"].tolist()
      ([0, 1], [True, False])
      >>> cleaned.report.num_non_finite
      {'image': 2, 'text': 0}
    """
    trees = {name: jax.tree.map(np.asarray, tree) for name, tree in modalities.items()}
    masks = _masks(trees, present, required)
    kept = {name: mask & _finite(trees[name]) for name, mask in masks.items()}
    keep = np.any(list(kept.values()), axis=0)
    for name in required:
        keep &= kept[name]
    rows = np.flatnonzero(keep)
    cleaned = {name: _empty_absent(tree, kept[name], rows) for name, tree in trees.items()}
    report = CleaningReport(
        num_rows=len(keep),
        num_dropped=len(keep) - len(rows),
        num_missing={name: int((~mask).sum()) for name, mask in masks.items()},
        num_non_finite={name: int((mask & ~kept[name]).sum()) for name, mask in masks.items()},
        num_present={name: int(mask[rows].sum()) for name, mask in kept.items()},
    )
    return Cleaned(cleaned, {name: mask[rows] for name, mask in kept.items()}, rows, report)


def _padding(tree: Any) -> np.ndarray | None:
    """The mask of a padded series; None for other modalities."""
    where = tree.get("where") if isinstance(tree, dict) else None
    return where if where is not None and where.dtype == np.bool_ else None


def _over(mask: np.ndarray | None, x: np.ndarray) -> np.ndarray:
    """The mask shaped to broadcast over `x`; True if there is none or it is not over its axes."""
    if mask is None or x.shape[: mask.ndim] != mask.shape:
        return np.ones((), bool)
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))


def _finite(tree: Any) -> Bool[np.ndarray, "n"]:
    leaves, where = jax.tree.leaves(tree), _padding(tree)
    finite = np.ones(len(leaves[0]), bool)
    for x in leaves:
        if x.dtype.kind in "fc":
            good = np.isfinite(x) | ~_over(where, x)
            finite &= good.reshape(len(x), -1).all(axis=1)
    return finite


def _empty_absent(tree: Any, mask: np.ndarray, rows: np.ndarray) -> Any:
    where = _padding(tree)

    def empty(x: np.ndarray) -> np.ndarray:
        if x.dtype.kind not in "biufc":
            return x[rows]
        keep = np.broadcast_to(_over(mask, x) & _over(where, x), x.shape)
        return np.where(keep[rows], x[rows], np.zeros((), x.dtype))

    return jax.tree.map(empty, tree)


def _masks(
    trees: dict[str, Any], present: Mapping[str, ArrayLike] | None, required: Sequence[str]
) -> dict[str, Bool[np.ndarray, "n"]]:
    shapes = {name: [x.shape for x in jax.tree.leaves(tree)] for name, tree in trees.items()}
    rows = {shape[:1] for of_one in shapes.values() for shape in of_one}
    if len(rows) != 1 or () in rows or not all(shapes.values()):
        raise ValueError(
            f"clean: all modalities must have the same rows [n, ...], got shapes {shapes}; align "
            "them with join_by_id."
        )
    unknown = [name for name in required if name not in trees]
    if unknown or (present is not None and set(present) != set(trees)):
        raise ValueError(
            "clean: `present` must have the keys of `modalities` and `required` must be among "
            f"them, got modalities {sorted(trees)}, present {sorted(present or trees)} and "
            f"required {list(required)}; give every modality a mask."
        )
    (shape,) = rows
    if present is None:
        return {name: np.ones(shape, bool) for name in trees}
    masks = {name: np.asarray(present[name], bool) for name in trees}
    for name, mask in masks.items():
        if mask.shape != shape:
            raise ValueError(
                f"clean: `present` of modality {name!r} must have shape [n] = {shape}, got "
                f"{mask.shape}; it has one entry per row."
            )
    return masks
