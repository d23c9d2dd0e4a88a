"""The embedded dataset: characters of the DejaVu fonts as pictures, outlines, names, properties."""

import os
import unicodedata
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from crossmodal_jax import _checks
from crossmodal_jax.data import _characters, _outlines
from crossmodal_jax.data._dataset import Dataset

_FONTS = {"sans": "DejaVuSans.ttf", "serif": "DejaVuSerif.ttf", "mono": "DejaVuSansMono.ttf"}
_MAX_POINTS = 256
# Parts of a picture's height: an em, and what lies above the baseline. All but about a dozen
# glyphs fit; those are shrunk.
_EM, _ABOVE = 22 / 32, 24 / 32


def glyphs(*, size: int = 32) -> Dataset:
    """Renders the characters of three fonts: real, paired, with missing modalities, offline.

    A sample is a named character (no space, no control) that DejaVu Sans draws with ink. Serif and
    Sans Mono draw about 55 % of them; elsewhere their picture is absent. The fonts are those that
    matplotlib ships. Every call returns the same.

    Pictures keep the baseline at a fixed row, so that a comma is no apostrophe, and are centred
    horizontally. A glyph too wide or tall for the picture is shrunk, never cut. Outlines are in em
    from the pen's origin; more than 256 points are thinned to 256, pen-ups kept.

    Args:
      size: Height and width of the pictures, at least 8.

    Returns:
      A dataset of n samples in order of code point, which is the id. Modalities: `sans`, `serif`,
      `mono` [n, size, size] float32 in [0, 1], zero where absent; `outline` with `points`
      [n, t, 3] float32 (x, y, pen down) and the mask `where` [n, t]; `name` [n], strings;
      `properties` [n, p] float32. Labels: `script`, the first word of the name, "OTHER" for words
      of fewer than 20 names; `category`, the general category.

    Raises:
      ValueError: If `size` is no integer of at least 8.
      ImportError: If matplotlib is not installed.

    Examples:
      >>> dataset = glyphs(size=8)
      >>> dataset.modalities["name"][0].item()
      'EXCLAMATION MARK'
      >>> dataset.modalities["serif"].shape == (len(dataset), 8, 8)
      True
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 8:
        raise ValueError(
            f"glyphs: `size` must be an integer of at least 8, got {size!r}; the default is 32."
        )
    fonts = {key: _open_font(file) for key, file in _FONTS.items()}
    codes = np.array([c for c in sorted(fonts["sans"].get_charmap()) if _characters.is_named(c)])
    drawn = {key: _draw(font, codes, size) for key, font in fonts.items()}
    inked = drawn["sans"][1]
    codes = codes[inked]
    names = [unicodedata.name(chr(code)) for code in codes]
    outline, metrics = _trace(fonts["sans"], codes)
    properties, columns = _characters.property_table(codes)
    script, scripts = _characters.script_labels(names)
    category, categories = _characters.category_labels(codes)
    every = np.ones(len(codes), bool)
    return Dataset(
        modalities={
            **{key: pictures[inked] for key, (pictures, _) in drawn.items()},
            "outline": outline,
            "name": np.array(names),
            "properties": np.column_stack([properties, metrics]),
        },
        present={
            **{key: present[inked] for key, (_, present) in drawn.items()},
            **dict.fromkeys(("outline", "name", "properties"), every),
        },
        labels={"script": script, "category": category},
        label_names={"script": scripts, "category": categories},
        ids=codes.astype(np.int64),
        column_names={"properties": (*columns, "advance_width")},
    )


def _open_font(file: str) -> Any:
    matplotlib = _checks.require("matplotlib", "cli", "glyphs")
    ft2font = _checks.require("matplotlib.ft2font", "cli", "glyphs")
    return ft2font.FT2Font(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", file))


def _load(font: Any, code: int, em: float) -> Any:
    from matplotlib.ft2font import LoadFlags

    # The hinter treats scripts differently; unhinted, look-alikes have the same picture.
    font.set_size(em, 72)
    return font.load_char(code, flags=LoadFlags.NO_HINTING)


def _draw(
    font: Any, codes: Int[np.ndarray, "n"], size: int
) -> tuple[Float[np.ndarray, "n size size"], Bool[np.ndarray, "n"]]:
    charmap = font.get_charmap()
    pictures = np.zeros((len(codes), size, size), np.uint8)
    for picture, code in zip(pictures, codes.tolist(), strict=True):
        if code in charmap:
            _draw_glyph(font, code, picture)
    present = np.asarray(pictures.any(axis=(1, 2)))
    return pictures.astype(np.float32) / np.float32(255), present


def _draw_glyph(font: Any, code: int, picture: np.ndarray) -> None:
    size = len(picture)
    baseline, em = round(_ABOVE * size), _EM * size
    while True:
        glyph = _load(font, code, em)
        left, bottom, right, top = _pixel_box(glyph)
        fill = max((right - left) / size, top / baseline, -bottom / (size - baseline))
        if fill <= 1:
            break
        em *= min(1 / fill, 0.99)
    font.draw_glyph_to_bitmap(picture, (size - (right - left)) // 2 - left, baseline - top, glyph)


def _pixel_box(glyph: Any) -> tuple[int, int, int, int]:
    left, bottom, right, top = glyph.bbox  # in 1/64 pixel
    return left // 64, bottom // 64, -(-right // 64), -(-top // 64)


def _trace(
    font: Any, codes: Int[np.ndarray, "n"]
) -> tuple[dict[str, np.ndarray], Float[np.ndarray, "n"]]:
    em = float(font.units_per_EM)  # at this size a pixel is a unit of the font: nothing is rounded
    vertices, commands, advance = [], [], []
    for code in codes.tolist():
        glyph = _load(font, code, em)
        vertex, command = font.get_path()
        vertices.append(vertex / em)
        commands.append(command)
        advance.append(glyph.linearHoriAdvance / 65536 / em)
    points, lengths = _outlines.flatten_outlines(vertices, commands)
    padded, where = _outlines.pad_outlines(points, lengths, max_points=_MAX_POINTS)
    return {"points": padded, "where": where}, np.array(advance, np.float32)
