import importlib
import pathlib

import pytest


@pytest.fixture
def load(monkeypatch):
    """Imports a module of the suite, which a checkout has and an installation has not."""
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[2]))
    return lambda name: importlib.import_module(f"benchmarks.{name}")
