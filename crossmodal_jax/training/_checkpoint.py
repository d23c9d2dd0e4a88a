"""Checkpoints that are whole or refused: arrays by orbax, under a manifest of SHA-256 sums."""

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crossmodal_jax._typing import PyTree
from crossmodal_jax.training import _manifest
from crossmodal_jax.training._manifest import CheckpointError

_PREVIOUS = ".previous"


def save_checkpoint(
    path: str | os.PathLike, tree: PyTree, *, metadata: dict[str, Any] | None = None
) -> Path:
    """Writes `tree` to the folder `path`: the whole of it, or nothing.

    The folder is built beside `path`, listed in a manifest of sizes and SHA-256 sums, forced to
    the disk and renamed. Whenever the process dies, `path` names the previous checkpoint or the
    new one, each complete.

    Args:
      path: Folder of the checkpoint; an older checkpoint there is replaced.
      tree: Pytree of arrays of any shape and dtype, random keys and Python numbers included.
      metadata: Anything that JSON can hold, for `checkpoint_metadata`.

    Returns:
      The absolute path.

    Raises:
      CheckpointError: If `path` holds something else, or cannot be written.
      TypeError: If a leaf is no array and no number, or `metadata` cannot be written as JSON.
      NotImplementedError: With several processes; save with orbax directly there.

    Examples:
      >>> import tempfile, jax, jax.numpy as jnp
      >>> tree = {"w": jnp.arange(3), "key": jax.random.key(0)}
      >>> folder = tempfile.mkdtemp()
      >>> path = save_checkpoint(f"{folder}/step_7", tree, metadata={"seed": 0})
      >>> print(path.name, restore_checkpoint(path, tree)["w"])
      step_7 [0 1 2]
    """
    if jax.process_count() > 1:
        raise NotImplementedError(
            f"save_checkpoint: one process is supported, got {jax.process_count()}; save with "
            "orbax.checkpoint directly."
        )
    path = Path(path).absolute()
    if path.exists() and not _manifest.exists(path):
        raise CheckpointError(
            f"save_checkpoint: {path} exists and is no checkpoint; choose another path."
        )
    arrays, leaves = _describe("save_checkpoint", tree)
    contents = _manifest.encode(leaves, metadata)
    temporary, previous = _siblings(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        _write_arrays(temporary / _manifest.ARRAYS, arrays)
        _manifest.write(temporary, contents)
        if path.exists():
            shutil.rmtree(previous, ignore_errors=True)
            path.rename(previous)
        temporary.rename(path)
        _manifest.force_to_disk(path.parent)
        shutil.rmtree(previous, ignore_errors=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"save_checkpoint: cannot write {path}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def restore_checkpoint(path: str | os.PathLike, like: PyTree) -> PyTree:
    """Reads a checkpoint back, after every one of its bytes has been verified.

    Args:
      path: Folder that `save_checkpoint` wrote.
      like: Pytree of the structure, shapes and dtypes that were saved: arrays, or the shapes that
        `jax.eval_shape` gives. Leaves laid out over a mesh are restored with that layout.

    Returns:
      The tree: NumPy arrays and Python numbers where `like` has them, else `jax.Array`s, each of
      the shape of its leaf in `like`.

    Raises:
      CheckpointError: If a file is missing, cut short, altered or foreign, or if `like` differs
        from what was saved; the message names the file or the leaf.

    Examples:
      >>> import tempfile, jax.numpy as jnp
      >>> path = save_checkpoint(tempfile.mkdtemp() + "/best", {"w": jnp.ones((2, 2))})
      >>> restore_checkpoint(path, {"w": jnp.zeros((2, 2))})["w"].tolist()
      [[1.0, 1.0], [1.0, 1.0]]
    """
    path = _locate(Path(path).absolute())
    saved = _manifest.verify(path)["leaves"]
    arrays, leaves = _describe("restore_checkpoint", like)
    _compare(path, saved, leaves)
    restored = _read_arrays(path / _manifest.ARRAYS, arrays)
    values = [restored[f"{i:05d}"] for i in range(len(leaves))]
    flat, structure = jax.tree.flatten(like)
    return jax.tree.unflatten(structure, map(_place, flat, values))


def checkpoint_metadata(path: str | os.PathLike) -> Any:
    """The metadata that a checkpoint was saved with, verified like the arrays.

    Args:
      path: Folder that `save_checkpoint` wrote.

    Returns:
      What was given as `metadata`, of any shape that JSON has; None if nothing was.

    Raises:
      CheckpointError: If the checkpoint is missing or damaged.

    Examples:
      >>> import tempfile, jax.numpy as jnp
      >>> path = tempfile.mkdtemp() + "/best"
      >>> _ = save_checkpoint(path, jnp.ones(2), metadata={"score": 0.5})
      >>> checkpoint_metadata(path)
      {'score': 0.5}
    """
    return _manifest.verify(_locate(Path(path).absolute()))["metadata"]


def latest_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The checkpoint in `folder` whose name ends in the highest number.

    Args:
      folder: Where checkpoints such as `step_50`, `step_100` lie.

    Returns:
      Its path, or None if there is none. Saves that were interrupted are not seen. The checkpoint
      is verified by `restore_checkpoint`, not here. (No arrays, no shapes.)

    Examples:
      >>> import tempfile, jax.numpy as jnp
      >>> folder = tempfile.mkdtemp()
      >>> for step in (50, 100):
      ...     _ = save_checkpoint(f"{folder}/step_{step}", jnp.ones(2))
      >>> latest_checkpoint(folder).name
      'step_100'
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        return None
    names = {entry.name for entry in folder.iterdir()}
    # A save that died between its two renames has left the older checkpoint under a hidden name.
    names |= {name[1 : -len(_PREVIOUS)] for name in names if name.endswith(_PREVIOUS)}
    found = [
        (int(digits), name)
        for name in names
        if (digits := name[len(name.rstrip("0123456789")) :])
        and not name.startswith(".")
        and _manifest.exists(_locate(folder / name))
    ]
    return folder / max(found)[1] if found else None


def _siblings(path: Path) -> tuple[Path, Path]:
    """Where the next checkpoint is built, and where the last one waits during the exchange."""
    return path.with_name(f".{path.name}.tmp"), path.with_name(f".{path.name}{_PREVIOUS}")


def _locate(path: Path) -> Path:
    previous = _siblings(path)[1]
    return previous if previous.exists() and not path.exists() else path


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(name: str, tree: PyTree) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The arrays to store by number, and path, shape and dtype of each leaf."""
    arrays, leaves = {}, []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        where = jax.tree_util.keystr(path) or "the tree itself"
        described = leaf if hasattr(leaf, "dtype") and hasattr(leaf, "shape") else np.asarray(leaf)
        if not _is_key(described) and np.dtype(described.dtype).kind in "OSUMm":
            raise TypeError(
                f"{name}: leaves must be arrays or numbers, got {type(leaf).__name__} of dtype "
                f"{described.dtype} at {where}; put text into `metadata`."
            )
        arrays[f"{len(leaves):05d}"] = described
        shape, dtype = list(described.shape), str(described.dtype)
        leaves.append({"path": where, "shape": shape, "dtype": dtype})
    return arrays, leaves


def _compare(path: Path, saved: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Raises where the leaves of `like` are not those that were saved."""
    for have, want in itertools.zip_longest(saved, wanted):
        if have != want:
            raise CheckpointError(
                f"restore_checkpoint: `like` must have the structure saved in {path}, "
                f"{len(saved)} leaves, got {len(wanted)}; the first difference is "
                f"{_spell(have)} saved, {_spell(want)} in `like`."
            )


def _spell(leaf: dict[str, Any] | None) -> str:
    return f"{leaf['dtype']}{leaf['shape']} at {leaf['path']}" if leaf else "no further leaf"


def _write_arrays(folder: Path, arrays: dict[str, Any]) -> None:
    import orbax.checkpoint as ocp

    raw = {n: jax.random.key_data(x) if _is_key(x) else x for n, x in arrays.items()}
    stored = {n: x for n, x in jax.device_get(raw).items() if x.size}  # orbax refuses size 0
    if not stored:
        folder.mkdir()
        return
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, stored)


def _read_arrays(folder: Path, arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    import orbax.checkpoint as ocp

    raw = {
        n: jax.eval_shape(jax.random.key_data, x) if _is_key(x) else x for n, x in arrays.items()
    }
    restored = {n: np.zeros(x.shape, x.dtype) for n, x in raw.items()}
    stored = {n: x for n, x in restored.items() if x.size}
    if stored:
        try:
            with ocp.StandardCheckpointer() as checkpointer:
                restored |= checkpointer.restore(folder, stored)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"restore_checkpoint: cannot read {folder}: {error}") from error
    return restored


def _place(like: Any, value: Any) -> Any:
    """`value` as the kind of leaf that `like` is, with its layout."""
    if isinstance(like, np.ndarray | np.generic):
        return value
    if not hasattr(like, "dtype"):
        return value.item()
    sharding = getattr(like, "sharding", None)
    if _is_key(like):
        impl = jax.random.key_impl(jnp.empty((), like.dtype))
        value = jax.random.wrap_key_data(jnp.asarray(value), impl=impl)
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.device_put(value, sharding)
    return jnp.asarray(value)
