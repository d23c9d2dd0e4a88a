"""What a run tells whoever watches it."""

import dataclasses
from collections.abc import Callable, Mapping

STAGES = ("prepare", "extract", "closed_form", "sweep", "train", "evaluate", "report")
"""Names of the stages of a run, in order."""


@dataclasses.dataclass(frozen=True)
class StageStarted:
    """A stage begins.

    Attributes:
      stage: One of `STAGES`.
    """

    stage: str


@dataclasses.dataclass(frozen=True)
class StageFinished:
    """A stage has ended.

    Attributes:
      stage: One of `STAGES`.
      seconds: How long it took.
      summary: One short line about its result.
    """

    stage: str
    seconds: float
    summary: str = ""


@dataclasses.dataclass(frozen=True)
class Progress:
    """A stage has come so far.

    Attributes:
      stage: One of `STAGES`.
      step: Steps done.
      num_steps: Steps in all.
      metrics: Latest values, such as the loss.
    """

    stage: str
    step: int
    num_steps: int
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)


Event = StageStarted | StageFinished | Progress
OnEvent = Callable[[Event], None]
