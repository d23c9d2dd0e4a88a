"""Lets the suite import its own tables: `members`, `oracles` and `laws` lie beside this file."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
