"""The whole story as one call: prepare, extract, learn, evaluate, report, in one folder."""

import importlib
from typing import Any

from crossmodal_jax.pipeline._config import ClosedFormConfig as ClosedFormConfig
from crossmodal_jax.pipeline._config import EvaluateConfig as EvaluateConfig
from crossmodal_jax.pipeline._config import FeatureConfig as FeatureConfig
from crossmodal_jax.pipeline._config import LearnedConfig as LearnedConfig
from crossmodal_jax.pipeline._config import PrepareConfig as PrepareConfig
from crossmodal_jax.pipeline._config import RunConfig as RunConfig
from crossmodal_jax.pipeline._config import SweepConfig as SweepConfig
from crossmodal_jax.pipeline._config import effective as effective
from crossmodal_jax.pipeline._config import from_json as from_json
from crossmodal_jax.pipeline._config import to_json as to_json
from crossmodal_jax.pipeline._events import STAGES as STAGES
from crossmodal_jax.pipeline._events import Progress as Progress
from crossmodal_jax.pipeline._events import StageFinished as StageFinished
from crossmodal_jax.pipeline._events import StageStarted as StageStarted

# What follows needs jax, which a command line that only asks for help shall not wait for.
_LAZY = {
    "PICTURES": "_prepare",
    "Prepared": "_prepare",
    "prepare": "_prepare",
    "FeatureParams": "_extract",
    "Features": "_extract",
    "extract": "_extract",
    "run": "_run",
    "run_seeds": "_seeds",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*(n for n in globals() if not n.startswith("_")), *_LAZY})
