"""Every choice of a run, as frozen dataclasses. Imports no jax, so that `--help` is instant."""

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal


def _require(config: Any, field: str, good: bool, requirement: str) -> None:
    if not good:
        raise ValueError(
            f"{type(config).__name__}: `{field}` must be {requirement}, got "
            f"{getattr(config, field)!r}; the default is {_default(config, field)!r}."
        )


def _default(config: Any, name: str) -> Any:
    (field,) = (f for f in dataclasses.fields(config) if f.name == name)
    return field.default


def _require_positive(config: Any, *fields: str) -> None:
    for field in fields:
        _require(config, field, getattr(config, field) >= 1, "at least 1")


def _require_values(config: Any, field: str, *, above: float | None = None) -> None:
    values = getattr(config, field)
    low = 0 if above is None else above
    good = len(values) > 0 and all(v > low if above is not None else v >= low for v in values)
    bound = f"above {above}" if above is not None else "of at least 0"
    _require(config, field, good, f"one or more numbers {bound}")


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """The data and its split."""

    dataset: Literal["glyphs"] = "glyphs"
    """Name of the data set."""
    size: int = 32
    """Height and width of the pictures, in pixels."""
    num_test: int = 500
    """Unseen characters to test on, all of which have every picture."""
    num_validation: int = 500
    """Characters to choose hyperparameters on, of the same kind."""
    max_samples: int | None = None
    """Use only so many characters, drawn at random; all by default."""

    def __post_init__(self):
        _require(self, "size", self.size >= 16, "at least 16")
        _require(self, "num_test", self.num_test >= 10, "at least 10")
        _require(self, "num_validation", self.num_validation >= 10, "at least 10")
        if self.max_samples is not None:
            least = 5 * (self.num_test + self.num_validation)
            _require(
                self,
                "max_samples",
                self.max_samples >= least,
                f"at least {least}, five times the test and validation characters",
            )


@dataclasses.dataclass(frozen=True)
class FeatureConfig:
    """What is computed from pictures, names, outlines and properties."""

    orientations: int = 8
    """Orientation bins of the histograms of oriented gradients."""
    cells: tuple[int, ...] = (8, 4)
    """Sides of the histograms' cells, in pixels; the smaller ones weigh less."""
    pixel_weight: float = 0.3
    """Weight of the smoothed pixels beside the histograms."""
    picture_columns: int = 1536
    """Columns of a picture to keep: those that explain most of the names."""
    picture_dim: int = 300
    """Principal components of the kept columns."""
    word_columns: int = 2048
    """Columns that the words of a name are hashed into."""
    character_columns: int = 4096
    """Columns that the character n-grams of a name are hashed into."""
    character_ngrams: tuple[int, int] = (2, 4)
    """Shortest and longest character n-gram."""
    character_weight: float = 1.0
    """Weight of the character n-grams beside the words."""
    name_columns: int = 2048
    """Columns of a name to keep: those of largest variance."""
    name_dim: int = 1000
    """Principal components of the names."""
    outline_points: int = 32
    """Points that an outline is resampled to."""
    outline_dim: int = 64
    """Principal components of the outlines."""

    def __post_init__(self):
        _require(self, "orientations", self.orientations >= 2, "at least 2")
        _require_positive(
            self,
            "picture_columns",
            "picture_dim",
            "word_columns",
            "character_columns",
            "name_columns",
            "name_dim",
            "outline_points",
            "outline_dim",
        )
        _require_values(self, "cells", above=0.0)
        _require(self, "pixel_weight", self.pixel_weight > 0, "above 0")
        _require(self, "character_weight", self.character_weight > 0, "above 0")
        low, high = self.character_ngrams
        _require(
            self,
            "character_ngrams",
            1 <= low <= high,
            "two lengths, 1 <= low <= high",
        )


@dataclasses.dataclass(frozen=True)
class ClosedFormConfig:
    """Closed-form transforms; each value is tried, validation chooses."""

    dims: tuple[int, ...] = (64, 96, 128)
    """Dimensions of the canonical space."""
    cca_powers: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Exponents of the canonical correlations that weigh the canonical space."""
    cca_l2: tuple[float, ...] = (0.025, 0.05)
    """Regularisation of canonical correlation analysis."""
    ridge_l2: tuple[float, ...] = (0.001, 0.01, 0.1)
    """Regularisation of ridge regression."""

    def __post_init__(self):
        _require_values(self, "dims", above=0.0)
        _require_values(self, "cca_powers")
        _require_values(self, "cca_l2", above=0.0)
        _require_values(self, "ridge_l2", above=0.0)


@dataclasses.dataclass(frozen=True)
class LearnedConfig:
    """The two-tower model Y = T(F(X)) and how it is trained."""

    fusion: Literal["gated", "weighted_sum"] = "gated"
    """Fusion F of the picture codes."""
    hidden: int = 512
    """Hidden units of an encoder."""
    dim: int = 256
    """Width of the codes and of the shared space."""
    num_steps: int = 300
    """Training steps of the final model."""
    batch_size: int = 1024
    """Pairs of a step; each is contrasted with all the others."""
    dropout: float = 0.4
    """Probability that a hidden unit is dropped."""
    modality_dropout: float = 0.3
    """Probability that a picture is dropped from a sample that has another."""
    steps_per_dispatch: int = 50
    """Steps between two returns to Python: progress, checkpoint, Ctrl-C."""

    def __post_init__(self):
        _require_positive(self, "hidden", "dim", "num_steps", "steps_per_dispatch")
        _require(self, "batch_size", self.batch_size >= 2, "at least 2")
        _require(self, "dropout", 0 <= self.dropout < 1, "in [0, 1)")
        _require(self, "modality_dropout", 0 <= self.modality_dropout <= 1, "in [0, 1]")


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """The search: every combination is trained at once, validation chooses."""

    learning_rates: tuple[float, ...] = (2e-3, 4e-3)
    """Peak learning rates to try."""
    weight_decays: tuple[float, ...] = (0.1, 0.3)
    """Weight decays to try."""
    temperatures: tuple[float, ...] = (0.05, 0.1)
    """Temperatures of the contrastive loss to try."""
    num_steps: int = 40
    """Training steps of every combination."""
    batch_size: int = 256
    """Pairs of a step."""

    def __post_init__(self):
        _require_values(self, "learning_rates", above=0.0)
        _require_values(self, "weight_decays")
        _require_values(self, "temperatures", above=0.0)
        _require_positive(self, "num_steps")
        _require(self, "batch_size", self.batch_size >= 2, "at least 2")


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """The one look at the test characters."""

    num_resamples: int = 1000
    """Bootstrap resamples behind each interval."""
    num_queries_shown: int = 12
    """Queries that the report shows with their best answers."""
    num_pictures_shown: int = 10
    """Translated pictures that the report shows."""

    def __post_init__(self):
        _require_positive(self, "num_resamples", "num_queries_shown", "num_pictures_shown")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """A whole run: prepare, extract features, learn, evaluate, report."""

    output: Path = Path("runs/glyphs")
    """Folder of the run; it holds all that a run leaves."""
    seed: int = 0
    """Seed of the split, the initial weights, the batches and the dropout."""
    quick: bool = False
    """A small run of about a minute that exercises everything; its scores mean little."""
    resume: bool = False
    """Go on with the run in the output folder."""
    overwrite: bool = False
    """Replace the run in the output folder."""
    prepare: PrepareConfig = PrepareConfig()
    """The data and its split."""
    features: FeatureConfig = FeatureConfig()
    """What is computed from the samples."""
    closed_form: ClosedFormConfig = ClosedFormConfig()
    """The closed-form transforms."""
    learned: LearnedConfig = LearnedConfig()
    """The two-tower model."""
    sweep: SweepConfig = SweepConfig()
    """The search for its hyperparameters."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """The evaluation on the test characters."""

    def __post_init__(self):
        _require(self, "seed", 0 <= self.seed < 2**31, "at least 0 and below 2**31")
        if self.resume and self.overwrite:
            raise ValueError(
                "RunConfig: `resume` and `overwrite` exclude each other, got both; "
                "choose one of them."
            )


def effective(config: RunConfig) -> RunConfig:
    """The configuration that is really run: with `quick`, every size is capped.

    Args:
      config: The configuration as asked for (no arrays, no shapes).

    Returns:
      `config` itself unless `config.quick`; else a copy with small sizes.

    Examples:
      >>> from crossmodal_jax.pipeline import RunConfig, effective
      >>> effective(RunConfig(quick=True)).learned.num_steps < RunConfig().learned.num_steps
      True
    """
    if not config.quick:
        return config
    return dataclasses.replace(
        config,
        prepare=_capped(config.prepare, num_test=100, num_validation=100, max_samples=2000),
        features=_capped(
            config.features,
            picture_columns=512,
            picture_dim=100,
            word_columns=1024,
            character_columns=1024,
            name_dim=128,
        ),
        closed_form=dataclasses.replace(config.closed_form, dims=(64,)),
        learned=_capped(
            config.learned,
            hidden=128,
            dim=64,
            num_steps=100,
            batch_size=256,
            steps_per_dispatch=25,
        ),
        sweep=_capped(config.sweep, num_steps=25, batch_size=128),
        evaluate=_capped(config.evaluate, num_resamples=200),
    )


def _capped(config: Any, **caps: int) -> Any:
    values = {name: getattr(config, name) for name in caps}
    return dataclasses.replace(
        config, **{n: cap if values[n] is None else min(values[n], cap) for n, cap in caps.items()}
    )


def same_run(a: RunConfig, b: RunConfig) -> bool:
    """Whether two configurations describe one and the same run, wherever it is kept."""
    neutral = {"output": Path(), "resume": False, "overwrite": False}
    return dataclasses.replace(a, **neutral) == dataclasses.replace(b, **neutral)


def to_json(config: RunConfig) -> str:
    """Writes a configuration as JSON.

    Args:
      config: The configuration (no arrays, no shapes).

    Returns:
      Indented text; `from_json` reads it back to an equal configuration.

    Examples:
      >>> from crossmodal_jax.pipeline import RunConfig, from_json, to_json
      >>> from_json(to_json(RunConfig(seed=3))) == RunConfig(seed=3)
      True
    """
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"


def from_json(text: str) -> RunConfig:
    """Reads a configuration that `to_json` wrote; what is left out has its default.

    Args:
      text: A JSON object (no arrays, no shapes).

    Returns:
      The configuration.

    Raises:
      ValueError: If the text is no JSON object, a name is unknown (the nearest is offered), or a
        value is not allowed.

    Examples:
      >>> from crossmodal_jax.pipeline import from_json
      >>> from_json('{"learned": {"hidden": 64}}').learned.hidden
      64
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"from_json: the text must be JSON, got {error}; mend it there.") from None
    return _build(RunConfig, values, "RunConfig")


def _build(cls: Any, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise ValueError(
            f"from_json: `{where}` must be an object of named values, got {values!r}; "
            "write it as {...}."
        )
    hints = typing.get_type_hints(cls)
    for name in values:
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of {sorted(hints)}."
            raise ValueError(f"from_json: `{where}` has no option {name!r}; {hint}")
    return cls(**{name: _value(hints[name], v, f"{where}.{name}") for name, v in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`; JSON knows no tuples, paths or dataclasses."""
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _value(args[0], value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(args[0], v, where) for v in value)
    if origin is Literal and value in args:
        return value
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in (int, bool) and type(value) is hint:
        return value
    wanted = " or ".join(map(repr, args)) if origin is Literal else getattr(hint, "__name__", hint)
    raise ValueError(f"from_json: `{where}` must be {wanted}, got {value!r}; see RunConfig.")
