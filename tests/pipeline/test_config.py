"""The configuration: JSON round trip, clear errors, nothing heavy imported."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from crossmodal_jax import pipeline
from crossmodal_jax.pipeline import RunConfig, effective, from_json, to_json
from crossmodal_jax.pipeline._config import same_run


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(),
        effective(RunConfig(quick=True)),
        RunConfig(
            seed=7,
            prepare=pipeline.PrepareConfig(max_samples=6000),
            learned=pipeline.LearnedConfig(fusion="weighted_sum"),
            sweep=pipeline.SweepConfig(learning_rates=(1e-4,)),
        ),
    ],
)
def test_json_round_trip(config):
    text = to_json(config)
    assert from_json(text) == config
    assert to_json(from_json(text)) == text


def test_json_leaves_defaults():
    assert from_json("{}") == RunConfig()
    assert from_json('{"sweep": {"num_steps": 3}}').sweep == pipeline.SweepConfig(num_steps=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "must be JSON"),
        ("[]", "object of named values"),
        ('{"sed": 1}', "did you mean 'seed'"),
        ('{"learned": {"hiden": 1}}', r"RunConfig.learned.*did you mean 'hidden'"),
        ('{"learned": 3}', "RunConfig.learned"),
        ('{"learned": {"hidden": 1.5}}', "RunConfig.learned.hidden"),
        ('{"learned": {"hidden": true}}', "RunConfig.learned.hidden"),
        ('{"learned": {"fusion": "gatd"}}', "'gated' or 'weighted_sum', got 'gatd'"),
        ('{"quick": 1}', "RunConfig.quick"),
        ('{"sweep": {"learning_rates": [0]}}', "learning_rates"),
        ('{"sweep": {"learning_rates": []}}', "learning_rates"),
        ('{"resume": true, "overwrite": true}', "exclude each other"),
    ],
)
def test_bad_json(text, message):
    with pytest.raises(ValueError, match=message):
        from_json(text)


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (pipeline.PrepareConfig, {"size": 4}),
        (pipeline.PrepareConfig, {"num_test": 1}),
        (pipeline.PrepareConfig, {"num_validation": 1}),
        (pipeline.PrepareConfig, {"max_samples": 100}),
        (pipeline.FeatureConfig, {"cells": (8, 0)}),
        (pipeline.FeatureConfig, {"character_ngrams": (4, 2)}),
        (pipeline.FeatureConfig, {"pixel_weight": 0.0}),
        (pipeline.ClosedFormConfig, {"dims": ()}),
        (pipeline.ClosedFormConfig, {"cca_l2": (-1.0,)}),
        (pipeline.LearnedConfig, {"dropout": 1.0}),
        (pipeline.LearnedConfig, {"modality_dropout": -0.1}),
        (pipeline.LearnedConfig, {"batch_size": 1}),
        (pipeline.SweepConfig, {"num_steps": 0}),
        (pipeline.SweepConfig, {"weight_decays": (-0.1,)}),
        (pipeline.EvaluateConfig, {"num_resamples": 0}),
        (pipeline.RunConfig, {"seed": -1}),
    ],
)
def test_bad_value_names_the_field(cls, values):
    (field,) = values
    with pytest.raises(ValueError, match=rf"{cls.__name__}: `{field}` must be .*default"):
        cls(**values)


def test_quick_only_makes_smaller():
    config = RunConfig(
        quick=True,
        learned=pipeline.LearnedConfig(num_steps=7),
        prepare=pipeline.PrepareConfig(num_test=10, num_validation=10, max_samples=150),
    )
    small = effective(config)
    assert small.learned.num_steps == 7
    assert small.prepare == config.prepare
    assert effective(small) == small
    assert effective(RunConfig()) == RunConfig()


def test_same_run_ignores_where_and_how():
    config = RunConfig()
    assert same_run(config, dataclasses.replace(config, output=Path("elsewhere"), resume=True))
    assert not same_run(config, dataclasses.replace(config, seed=1))


def test_config_does_not_import_jax():
    code = (
        "import sys; from crossmodal_jax.pipeline import RunConfig, StageStarted; RunConfig();"
        "print([m for m in ('jax', 'flax', 'optax', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []


def test_unknown_name():
    with pytest.raises(AttributeError, match="rum"):
        pipeline.rum  # noqa: B018
    assert "run" in dir(pipeline)
