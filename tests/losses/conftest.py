"""Lets the tests use the definitions in NumPy that the contract suite compares with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
