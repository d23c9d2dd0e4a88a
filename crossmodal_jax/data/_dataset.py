"""The container of a dataset: modalities, presence, labels and ids, as NumPy on the host."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Int

from crossmodal_jax._typing import ArrayLike

_RESERVED = ("present", "label", "id")


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with several modalities, row i of everything being the same sample.

    A modality is an array [n, ...] or a nested dictionary of such arrays (a padded series with its
    mask, say). What an absent entry holds is never read: `present` alone says what a sample has.

    Attributes:
      modalities: One pytree of arrays [n, ...] per modality.
      present: One mask [n] per modality, True where the sample has it.
      labels: Integer labels [n] per task, each in [0, len(label_names[task])).
      label_names: The classes of each task, in the order of their label.
      ids: A different integer per sample, shape [n].
      column_names: The columns of those modalities that are tables [n, p].

    Raises:
      ValueError: If row counts disagree, keys do not match, a label is out of range, or an id
        occurs twice.

    Examples:
      >>> import numpy as np
      >>> dataset = Dataset(
      ...     modalities={"image": np.zeros((3, 8, 8)), "text": np.array(["a", "b", "c"])},
      ...     present={"image": np.array([True, False, True]), "text": np.ones(3, bool)},
      ...     labels={"kind": np.array([0, 1, 0], np.int32)},
      ...     label_names={"kind": ("cat", "dog")},
      ...     ids=np.array([10, 11, 12]),
      ... )
      >>> len(dataset)
      3
      >>> dataset.take(np.array([2, 0])).ids.tolist()
      [12, 10]
      >>> sorted(dataset.batch(np.array([1])))
      ['id', 'image', 'label', 'present']
    """

    modalities: dict[str, Any]
    present: dict[str, Bool[np.ndarray, "n"]]
    labels: dict[str, Int[np.ndarray, "n"]]
    label_names: dict[str, tuple[str, ...]]
    ids: Int[np.ndarray, "n"]
    column_names: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        num_rows = len(self.ids)
        _check_modalities(self.modalities, self.present, num_rows)
        _check_labels(self.labels, self.label_names, num_rows)
        _check_columns(self.column_names, self.modalities)
        unique, counts = np.unique(self.ids, return_counts=True)
        if len(unique) < num_rows:
            twice = unique[counts > 1]
            raise ValueError(
                f"Dataset: `ids` must differ, got {len(twice)} that occur more than once "
                f"(first: {twice[:5].tolist()}); drop the repeated rows or number them anew."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: ArrayLike) -> "Dataset":
        """Returns the samples at `rows`, in that order.

        Args:
          rows: Row numbers [k] in [0, n), or a mask [n] of the rows to keep.

        Returns:
          A dataset of k samples.

        Raises:
          ValueError: If a row number is out of range or repeated, or the mask has not n entries.
        """
        rows = self._rows("take", rows)
        return dataclasses.replace(
            self,
            modalities={name: _slice(tree, rows) for name, tree in self.modalities.items()},
            present={name: mask[rows] for name, mask in self.present.items()},
            labels={task: label[rows] for task, label in self.labels.items()},
            ids=self.ids[rows],
        )

    def batch(self, rows: ArrayLike) -> dict[str, Any]:
        """Returns the samples at `rows` as a batch: what training takes.

        Modalities of text are left out, since devices hold numbers only: extract features first.

        Args:
          rows: Row numbers [k] in [0, n), in any order and also repeated, or a mask [n].

        Returns:
          The numeric modalities by name; "present" with a mask [k] for each of them; "label" with
          the labels [k] of each task if there are tasks; "id" [k], int32 where all ids fit.

        Raises:
          ValueError: If a row number is out of range, or the mask has not n entries.
        """
        rows = self._rows("batch", rows)
        numeric = {name: tree for name, tree in self.modalities.items() if _is_numeric(tree)}
        batch = {name: _slice(tree, rows) for name, tree in numeric.items()}
        batch["present"] = {name: self.present[name][rows] for name in numeric}
        if self.labels:
            batch["label"] = {task: label[rows] for task, label in self.labels.items()}
        batch["id"] = _narrow(self.ids)[rows]
        return batch

    def _rows(self, method: str, rows: ArrayLike) -> Int[np.ndarray, "k"]:
        rows = np.asarray(rows)
        if rows.dtype == np.bool_:
            if rows.shape != (len(self),):
                raise ValueError(
                    f"Dataset.{method}: a mask `rows` must have shape [n] = {(len(self),)}, got "
                    f"rows.shape={rows.shape}; it has one entry per sample."
                )
            return np.flatnonzero(rows)
        if rows.ndim != 1 or not (rows.size == 0 or np.issubdtype(rows.dtype, np.integer)):
            raise ValueError(
                f"Dataset.{method}: `rows` must be integers [k] or a mask [n], got "
                f"rows.shape={rows.shape} of {rows.dtype}; convert it with np.asarray(rows, int)."
            )
        rows = rows.astype(np.int64)
        bad = rows[(rows < 0) | (rows >= len(self))]
        if bad.size:
            raise ValueError(
                f"Dataset.{method}: `rows` must lie in [0, {len(self)}), got {bad.size} outside "
                f"(first: {bad[:5].tolist()}); count rows from 0."
            )
        return rows


def _slice(tree: Any, rows: np.ndarray) -> Any:
    return jax.tree.map(lambda x: x[rows], tree)


def _is_numeric(tree: Any) -> bool:
    return all(x.dtype.kind in "biufc" for x in jax.tree.leaves(tree))


def _narrow(ids: np.ndarray) -> np.ndarray:
    # JAX truncates int64 in silence unless x64 is enabled, so narrow here where it loses nothing.
    bounds = np.iinfo(np.int32)
    fits = ids.size == 0 or (ids.min() >= bounds.min and ids.max() <= bounds.max)
    return ids.astype(np.int32) if fits else ids


def _check_modalities(modalities: dict, present: dict, num_rows: int) -> None:
    reserved = [name for name in modalities if name in _RESERVED]
    if not modalities or reserved or set(modalities) != set(present):
        raise ValueError(
            "Dataset: `modalities` and `present` must have the same keys, at least one and none "
            f"of {_RESERVED}, got modalities {sorted(modalities)} and present {sorted(present)}; "
            "give every modality a mask."
        )
    for name, tree in modalities.items():
        leaves = jax.tree.leaves(tree)
        shapes = [np.shape(x) for x in leaves]
        if not leaves or any(not isinstance(x, np.ndarray) or x.dtype == object for x in leaves):
            raise TypeError(
                f"Dataset: modality {name!r} must hold NumPy arrays of numbers or strings, got "
                f"{[type(x).__name__ for x in leaves]}; convert its leaves with np.asarray."
            )
        if any(len(shape) < 1 or shape[0] != num_rows for shape in shapes):
            raise ValueError(
                f"Dataset: modality {name!r} must have one row per id, {num_rows} rows, got "
                f"shapes {shapes}; align it with preprocessing.join_by_id."
            )
        if present[name].shape != (num_rows,) or present[name].dtype != np.bool_:
            raise ValueError(
                f"Dataset: `present` of modality {name!r} must be boolean [n] = {(num_rows,)}, got "
                f"shape {present[name].shape} of {present[name].dtype}; True = has the modality."
            )


def _check_labels(labels: dict, label_names: dict, num_rows: int) -> None:
    if set(labels) != set(label_names):
        raise ValueError(
            f"Dataset: `labels` and `label_names` must have the same keys, got {sorted(labels)} "
            f"and {sorted(label_names)}; name the classes of every task."
        )
    for task, label in labels.items():
        if label.shape != (num_rows,):
            raise ValueError(
                f"Dataset: labels {task!r} must have shape [n] = {(num_rows,)}, got "
                f"{label.shape}; every sample has one."
            )
        num_classes = len(label_names[task])
        bad = np.flatnonzero((label < 0) | (label >= num_classes))
        if bad.size:
            raise ValueError(
                f"Dataset: labels {task!r} must lie in [0, {num_classes}), got others in "
                f"{bad.size} rows (first: {bad[:5].tolist()}); add their names to `label_names`."
            )


def _check_columns(column_names: dict, modalities: dict) -> None:
    for name, columns in column_names.items():
        table = modalities.get(name)
        shape = table.shape if isinstance(table, np.ndarray) else ()
        if len(shape) != 2 or shape[1] != len(columns):
            raise ValueError(
                f"Dataset: `column_names` of {name!r} must name the columns of a modality [n, p], "
                f"got {len(columns)} names for shape {shape}; give one name per column."
            )
