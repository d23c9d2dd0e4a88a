"""The manifest of a checkpoint: what is in it, and the sum of every file."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

ARRAYS = "arrays"
_MANIFEST = "manifest.json"
_SUM = "manifest.sha256"
_FORMAT = 1


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or must not be used; the message names the file."""


def exists(path: Path) -> bool:
    """Whether the folder `path` is a checkpoint; says nothing on its health."""
    return (path / _MANIFEST).is_file()


def encode(leaves: list[dict[str, Any]], metadata: Any) -> dict[str, Any]:
    """The manifest before the files are known; raises TypeError for metadata beyond JSON."""
    try:
        json.dumps(metadata, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"save_checkpoint: `metadata` must be what JSON can hold, got {error}; convert arrays "
            "by `.tolist()`."
        ) from error
    return {"format": _FORMAT, "metadata": metadata, "leaves": leaves}


def write(folder: Path, contents: dict[str, Any]) -> None:
    """Lists the files of `folder` in its manifest, and forces all of it to the disk."""
    files = {str(f.relative_to(folder)): _entry(f) for f in _files(folder / ARRAYS)}
    text = json.dumps({**contents, "files": files}, indent=1).encode()
    (folder / _MANIFEST).write_bytes(text)
    (folder / _SUM).write_text(hashlib.sha256(text).hexdigest())
    for entry in sorted(folder.rglob("*")):
        force_to_disk(entry)
    force_to_disk(folder)


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of `folder`, once every file has been found to be what was written."""
    if not exists(folder):
        raise CheckpointError(f"checkpoint: there is none at {folder} (no {_MANIFEST}).")
    text, recorded = (_read(folder / name) for name in (_MANIFEST, _SUM))
    if hashlib.sha256(text).hexdigest().encode() != recorded:
        raise _damaged(folder / _MANIFEST, f"it does not match {_SUM}")
    contents = json.loads(text)
    if contents["format"] != _FORMAT:
        raise _damaged(folder / _MANIFEST, f"its format is {contents['format']}, not {_FORMAT}")
    for name, expected in contents["files"].items():
        file = folder / name
        if not file.is_file():
            raise _damaged(file, "it is missing")
        found = _entry(file)
        if found["size"] != expected["size"]:
            raise _damaged(file, f"it has {found['size']} bytes instead of {expected['size']}")
        if found != expected:
            raise _damaged(file, "its SHA-256 sum is not that of the manifest")
    for file in _files(folder / ARRAYS):
        if str(file.relative_to(folder)) not in contents["files"]:
            raise _damaged(file, "the manifest does not list it")
    return contents


def force_to_disk(path: Path) -> None:
    """Waits until the file, or the entries of the folder, have reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.rglob("*") if not entry.is_dir())


def _entry(file: Path) -> dict[str, Any]:
    data = _read(file)
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"checkpoint: {file} is damaged: {reason}; restore an older checkpoint.")
