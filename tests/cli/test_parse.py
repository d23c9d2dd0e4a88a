"""Every field of a configuration is an option, and a typo is answered with the nearest name."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from crossmodal_jax.cli import _run
from crossmodal_jax.cli._parse import parse_config
from crossmodal_jax.pipeline import RunConfig


def flags(cls, prefix="--"):
    for field in dataclasses.fields(cls):
        flag = f"{prefix}{field.name.replace('_', '-')}"
        if dataclasses.is_dataclass(field.default):
            yield from flags(type(field.default), f"{flag}.")
        else:
            yield flag


def parse(*argv):
    return parse_config(RunConfig, "crossmodal-jax run", argv, about="About.")


def test_no_option_gives_the_defaults():
    assert parse() == RunConfig()


def test_options_reach_their_fields():
    config = parse(
        *("--output", "there", "--seed", "3", "--quick", "--overwrite"),
        *("--learned.num-steps", "7", "--sweep.learning-rates", "0.1", "0.2"),
        *("--learned.fusion=weighted_sum", "--features.character_ngrams", "1", "3"),
    )
    assert config.output == Path("there")
    assert (config.seed, config.quick, config.overwrite, config.resume) == (3, True, True, False)
    assert config.learned.num_steps == 7
    assert config.learned.fusion == "weighted_sum"
    assert config.sweep.learning_rates == (0.1, 0.2)
    assert config.features.character_ngrams == (1, 3)


def test_help_lists_every_field(capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--help")
    assert stop.value.code == 0
    words = capsys.readouterr().out.replace(",", " ").split()
    assert set(flags(RunConfig)) <= set(words)
    assert {"--output", "--seed", "--quick", "--resume", "--overwrite"} <= set(words)


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--learnd.dim", "3"], "--learned.dim"),
        (["--quik"], "--quick"),
        (["--ouput", "x"], "--output"),
        (["--learned.fusion", "gate"], "--learned.fusion gated?"),
        (["--prepare.dataset=glyph"], "--prepare.dataset glyphs?"),
        (["--learned.dim", "x"], "invalid literal"),
        (["--learned.dropout", "3"], "`dropout` must be in [0, 1), got 3.0"),
        (["--seed"], "Missing value"),
    ],
)
def test_a_mistake_is_explained_on_stderr(capsys, argv, hint):
    with pytest.raises(SystemExit) as stop:
        parse(*argv)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert hint in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize("argv", [["--seed", "0,1,22"], ["--seed=0,1,22"]])
def test_several_seeds_are_split(argv):
    seeds, words = _run._split_seeds([*argv, "--quick"])
    assert seeds == (0, 1, 22)
    assert parse(*words) == RunConfig(seed=0, quick=True)


@pytest.mark.parametrize("argv", [["--seed", "5"], ["--seed=5"], ["--output", "a,b"], ["1,2"]])
def test_one_seed_and_other_commas_stay(argv):
    assert _run._split_seeds(argv) == ((), argv)


@pytest.mark.parametrize("seeds", ["0,a", "0,", "-1,2", "0, 1"])
def test_a_list_with_something_else_is_refused(seeds):
    with pytest.raises(SystemExit):
        parse(*_run._split_seeds(["--seed", seeds])[1])


def test_reading_options_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from crossmodal_jax.cli._run import command\n"
        "command('x', ['--seed', '0,1', '--quick'])\n"
        "heavy = {'jax', 'jaxlib', 'flax', 'optax', 'orbax', 'numpy', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
