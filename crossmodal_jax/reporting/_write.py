"""Files that are either whole or not there."""

import contextlib
import os
import pathlib
import secrets


class WriteError(OSError):
    """A file could not be written; the message is one line that names it."""


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part.

    The content goes to a sibling first, is flushed to the disk, and then takes the name in
    one step. A failure at any moment leaves the old file as it was and no sibling behind.

    Args:
      path: File to write; its folder must exist.
      content: Text, written as UTF-8 with its line ends unchanged, or bytes.

    Raises:
      WriteError: If the file cannot be written, naming the path and the reason.

    Examples:
      >>> import pathlib, tempfile
      >>> from crossmodal_jax.reporting import write_atomic
      >>> with tempfile.TemporaryDirectory() as folder:
      ...   path = pathlib.Path(folder) / "report.html"
      ...   write_atomic(path, "<p>done</p>")
      ...   print(path.read_text())
      <p>done</p>
    """
    path = pathlib.Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            # Gone after the replacement; still there after any failure, an interrupt included.
            with contextlib.suppress(OSError):
                temporary.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(error.errno, f"cannot write {path}: {reason}") from error


def _sync_folder(folder: pathlib.Path) -> None:
    # Makes the new name durable; not every file system lets a folder be opened or synced.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
