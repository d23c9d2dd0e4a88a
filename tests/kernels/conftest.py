"""What the tests share: slabs of few rows, and `pairs`, which lies beside this file."""

import sys
from pathlib import Path

import pytest

from crossmodal_jax.kernels.pair_sums import _by_rows

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def slabs(monkeypatch):
    """Sets how many scores a slab has, and that all but those of one are looped over."""

    def choose(elements):
        monkeypatch.setattr(_by_rows, "_FEW", 0)
        monkeypatch.setattr(_by_rows, "_ELEMENTS", elements)

    return choose
