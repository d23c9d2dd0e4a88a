"""What the README tells a new user to type is what the checks run, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    "pip install -e '.[cli]' && crossmodal-jax run",
    "pip install -e '.[test]' && pytest",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_stands_in_readme_and_in_the_checks(command):
    assert re.search(rf"^    {re.escape(command)}( +#|$)", README, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_link_leads_to_a_file(target):
    assert (ROOT / target).exists()


def test_readme_shows_all_three_uses():
    headings = re.findall(r"^## (.+)$", README, re.MULTILINE)
    assert {"Train", "Benchmark", "Embed", "Limits"} <= set(headings)
