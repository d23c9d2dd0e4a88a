"""Where and with what the numbers are made."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

import jax

from crossmodal_jax.reporting import installed_versions

PEERS = ("ott-jax",)


def device() -> dict[str, Any]:
    """The device that computes, and the processor that drives it."""
    first = jax.devices()[0]
    return {
        "platform": first.platform,
        "kind": first.device_kind,
        "count": jax.device_count(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": platform.platform(terse=True),
    }


def versions() -> dict[str, str]:
    """Versions of Python and the packages."""
    return installed_versions()


def peers() -> dict[str, str | None]:
    """Versions of the packages that some cases compare with; None, and no such case, without."""
    found: dict[str, str | None] = dict.fromkeys(PEERS)
    for name in PEERS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def flags() -> dict[str, str | bool | None]:
    """Settings that change the numbers."""
    return {
        "XLA_FLAGS": os.environ.get("XLA_FLAGS"),
        "LIBTPU_INIT_ARGS": os.environ.get("LIBTPU_INIT_ARGS"),
        "jax_default_matmul_precision": jax.config.jax_default_matmul_precision,  # type: ignore[attr-defined]
        "jax_enable_x64": jax.config.jax_enable_x64,  # type: ignore[attr-defined]
    }


def commit() -> str | None:
    """The commit of the checkout, marked if files differ from it; None outside one."""
    head = _git("rev-parse", "HEAD")
    if head is None:
        return None
    return head + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")


def load() -> list[float] | None:
    """Load averages over 1, 5 and 15 minutes, where the system keeps them."""
    return list(os.getloadavg()) if hasattr(os, "getloadavg") else None


def _git(*words: str) -> str | None:
    folder = pathlib.Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
