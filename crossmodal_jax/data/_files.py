"""Datasets from files."""

import os
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from crossmodal_jax import _checks
from crossmodal_jax.data._dataset import Dataset

_UNREADABLE = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def load_npz(
    path: str | os.PathLike, *, labels: Sequence[str] = (), ids: str | None = None
) -> Dataset:
    """Reads a dataset from an `.npz` archive of arrays, all with one row per sample.

    Every array is a modality under its own key, but for the labels, the ids, and the masks: the
    key "present/image" holds the mask [n] of the modality "image", which is all present without
    it. Keys "series/points" and "series/where" make one modality "series" of two arrays. Nothing
    in the file is executed: pickled objects are refused.

    Args:
      path: The archive, as `numpy.savez` writes it.
      labels: Keys of labels [n], integers or strings; their sorted values become the classes.
      ids: Key of the ids [n], different integers; None numbers the rows.

    Returns:
      The dataset, in the order of the file.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no intact archive of arrays, a key is missing, or rows disagree.

    Examples:
      >>> import tempfile
      >>> path = os.path.join(tempfile.mkdtemp(), "pets.npz")
      >>> np.savez(path, image=np.zeros((3, 8, 8)), kind=np.array(["cat", "dog", "cat"]))
      >>> dataset = load_npz(path, labels=["kind"])
      >>> len(dataset), dataset.label_names
      (3, {'kind': ('cat', 'dog')})
    """
    arrays = _read(path)
    for key in (*labels, *([] if ids is None else [ids])):
        if key not in arrays:
            guess = _checks.nearest(key, arrays)
            hint = f"did you mean {guess!r}?" if guess else "name one of them."
            raise ValueError(f"load_npz: {path} must have {key!r}, got {sorted(arrays)}; {hint}")
    coded = {task: _encode(path, task, arrays[task]) for task in labels}
    number = None if ids is None else _integers(path, ids, arrays[ids])
    masks = {key: x for key, x in arrays.items() if key.startswith("present/")}
    arrays = {key: x for key, x in arrays.items() if key not in {*labels, ids, *masks}}
    modalities = _nest(path, arrays)
    rows = {key: np.shape(x)[:1] for key, x in arrays.items()}
    if len(set(rows.values())) != 1 or () in rows.values():
        raise ValueError(
            f"load_npz: the modalities of {path} must have the same rows, got {rows}; align them "
            "with preprocessing.join_by_id."
        )
    (num_rows,) = next(iter(rows.values()))
    stray = [key for key in masks if key.removeprefix("present/") not in modalities]
    if stray:
        raise ValueError(
            f"load_npz: every mask of {path} must be that of a modality, got {stray} beside the "
            f"modalities {sorted(modalities)}; name it present/<modality>."
        )
    return Dataset(
        modalities=modalities,
        present={
            name: masks.get(f"present/{name}", np.ones(num_rows, bool)) for name in modalities
        },
        labels={task: label for task, (label, _) in coded.items()},
        label_names={task: names for task, (_, names) in coded.items()},
        ids=np.arange(num_rows) if number is None else number,
    )


def _read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(
                f"load_npz: {path} must be an .npz archive, got another or an incomplete file; "
                "write it with numpy.savez."
            )
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            return {key: _member(path, archive, key) for key in archive.files}


def _member(path: str | os.PathLike, archive: Any, key: str) -> np.ndarray:
    try:
        array = archive[key]
    except _UNREADABLE as error:
        raise ValueError(
            f"load_npz: {key!r} of {path} must be an intact array of numbers or strings, got: "
            f"{error}; objects are refused since reading them would execute code."
        ) from error
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f"load_npz: {key!r} of {path} must be an array, got raw bytes; write it with "
            "numpy.savez."
        )
    return array


def _nest(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    modalities: dict[str, Any] = {}
    for key, array in arrays.items():
        name, _, leaf = key.partition("/")
        if (name in modalities) and (not leaf or not isinstance(modalities[name], dict)):
            raise ValueError(
                f"load_npz: {path} must not have both {name!r} and '{name}/…', got "
                f"{sorted(arrays)}; rename one."
            )
        if leaf:
            modalities.setdefault(name, {})[leaf] = array
        else:
            modalities[name] = array
    return modalities


def _encode(
    path: str | os.PathLike, task: str, values: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    if values.ndim != 1 or values.dtype.kind not in "iuUb":
        raise ValueError(
            f"load_npz: labels {task!r} of {path} must be integers or strings [n], got shape "
            f"{values.shape} of {values.dtype}; bin real values first."
        )
    names, label = np.unique(values, return_inverse=True)
    return label.astype(np.int32), tuple(str(name) for name in names)


def _integers(path: str | os.PathLike, key: str, values: np.ndarray) -> np.ndarray:
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(
            f"load_npz: ids {key!r} of {path} must be integers [n], got shape {values.shape} of "
            f"{values.dtype}; leave `ids` out to number the rows."
        )
    return values.astype(np.int64)
