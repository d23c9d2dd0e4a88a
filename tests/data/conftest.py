"""The rendered fonts, once per session."""

import pytest

from crossmodal_jax import data


@pytest.fixture(scope="session")
def glyph_data():
    return data.glyphs()
