"""The folder of a run: its only state. Files in it are whole or not there."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crossmodal_jax.pipeline._config import RunConfig, from_json, same_run, to_json
from crossmodal_jax.reporting import (
    ReportData,
    WriteError,
    render_model_card,
    render_report,
    write_atomic,
)

_CONFIG, _METRICS, _LOG = "config.json", "metrics.json", "metrics.jsonl"
_REPORT, _CARD, _TRIAL = "report.html", "model_card.md", "sweep.json"


class RunFolder:
    """Reads and writes the files of one run.

    Args:
      path: The folder, which `open_folder` has made.
    """

    def __init__(self, path: Path):
        self.path = path
        self.checkpoints = path / "checkpoints"

    def write_results(self, metrics: Mapping[str, float], data: ReportData) -> None:
        """Writes report and model card and, as the mark of a finished run, last the metrics."""
        write_atomic(self.path / _REPORT, render_report(data))
        write_atomic(self.path / _CARD, render_model_card(data))
        write_atomic(self.path / _METRICS, _dumps(metrics))

    def results(self) -> dict[str, float] | None:
        """The metrics of a finished run; None if it has not ended."""
        return _load(self.path / _METRICS)

    def write_trial(self, rows: list[dict[str, Any]]) -> None:
        """Keeps what the sweep found."""
        with naming(self.checkpoints):
            self.checkpoints.mkdir(exist_ok=True)
        write_atomic(self.checkpoints / _TRIAL, _dumps(rows))

    def trial(self) -> list[dict[str, Any]] | None:
        """What the sweep found; None if it has not ended."""
        return _load(self.checkpoints / _TRIAL)

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a line to the log."""
        log = self.path / _LOG
        with naming(log), open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self, stage: str) -> list[dict[str, Any]]:
        """The steps of a stage that the log holds; a line cut short by a crash is not one."""
        return [r for r in self._log() if r.get("stage") == stage and "step" in r]

    def forget(self, stage: str, *, after: int) -> None:
        """Drops the steps of a stage beyond `after`, which will be taken again."""
        kept = [
            record
            for record in self._log()
            if record.get("stage") != stage or record.get("step", after + 1) <= after
        ]
        write_atomic(self.path / _LOG, "".join(json.dumps(record) + "\n" for record in kept))

    def _log(self) -> Iterator[dict[str, Any]]:
        log = self.path / _LOG
        if log.exists():
            for line in log.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    yield json.loads(line)


def open_folder(config: RunConfig) -> RunFolder:
    """Makes the folder of a run, or takes it up again.

    Args:
      config: Where, and whether what is there is resumed or overwritten (no arrays, no shapes).

    Returns:
      The folder, which holds `config.json`.

    Raises:
      FileExistsError: If something is there and neither `resume` nor `overwrite` is given, or if
        what is there is no run.
      ValueError: If the run that is to be resumed has another configuration.
      WriteError: If the folder cannot be written; the message names the path.
    """
    path = config.output
    if path.exists() and not (config.resume or config.overwrite):
        raise FileExistsError(
            f"{path} exists; go on with it by --resume, replace it by --overwrite, or choose "
            "another --output."
        )
    if path.exists() and not _is_run(path):
        raise FileExistsError(
            f"{path} is no folder of a run (it has no {_CONFIG}), so it is neither resumed nor "
            "overwritten; choose another --output."
        )
    if config.resume and (path / _CONFIG).exists():
        _check_same(config, path)
        return RunFolder(path)
    with naming(path):
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)
    write_atomic(path / _CONFIG, to_json(config))
    return RunFolder(path)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the system within the block name `path` in one line."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(error.errno or errno.EIO, f"cannot write {path}: {reason}") from error


def _is_run(path: Path) -> bool:
    """Whether the folder holds a run, or nothing, as after a crash in its first moment."""
    if not path.is_dir():
        return False
    seen = [name for name in os.listdir(path) if not name.startswith(f".{_CONFIG}.")]
    return _CONFIG in seen or not seen


def _check_same(config: RunConfig, path: Path) -> None:
    saved = from_json((path / _CONFIG).read_text(encoding="utf-8"))
    if not same_run(saved, config):
        differ = [
            key
            for key, value in _flat(json.loads(to_json(config))).items()
            if key not in ("output", "resume", "overwrite")
            and _flat(json.loads(to_json(saved))).get(key) != value
        ]
        raise ValueError(
            f"run: {path} was started with another configuration, which differs in "
            f"{', '.join(differ)}; resume it with the same options, or choose another --output."
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def _dumps(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
