import itertools
import os
import unicodedata

import jax
import matplotlib
import numpy as np
import pytest
from matplotlib.ft2font import FT2Font, LoadFlags

from crossmodal_jax import data, preprocessing

FONTS = {"sans": "DejaVuSans.ttf", "serif": "DejaVuSerif.ttf", "mono": "DejaVuSansMono.ttf"}


def open_font(name):
    return FT2Font(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", FONTS[name]))


def row(dataset, character):
    return dataset.ids.tolist().index(ord(character))


def test_every_call_returns_the_same(glyph_data):
    again = data.glyphs()
    for field in ("modalities", "present", "labels", "ids"):
        jax.tree.map(
            np.testing.assert_array_equal, getattr(again, field), getattr(glyph_data, field)
        )
    assert again.label_names == glyph_data.label_names
    assert again.column_names == glyph_data.column_names


def test_samples_are_the_named_characters_with_ink(glyph_data):
    assert 5600 < len(glyph_data) < 5900
    assert (np.diff(glyph_data.ids) > 0).all()
    charmap = open_font("sans").get_charmap()
    missing = set(charmap) - set(glyph_data.ids.tolist())
    for code in glyph_data.ids.tolist():
        assert code in charmap
    blank = [
        code
        for code in missing
        if unicodedata.name(chr(code), "") and unicodedata.category(chr(code))[0] not in "ZC"
    ]
    blank = {unicodedata.name(chr(code)) for code in blank if code < 0x20000}
    assert "BRAILLE PATTERN BLANK" in blank
    assert len(blank) < 25


def test_pictures_are_float32_in_the_unit_interval_and_zero_where_absent(glyph_data):
    for name in FONTS:
        picture, present = glyph_data.modalities[name], glyph_data.present[name]
        assert picture.dtype == np.float32
        assert picture.shape == (len(glyph_data), 32, 32)
        assert picture.min() == 0
        assert picture.max() == 1
        np.testing.assert_array_equal(picture.any(axis=(1, 2)), present)
    assert glyph_data.present["sans"].all()
    for name in ("serif", "mono"):
        assert 0.5 < glyph_data.present[name].mean() < 0.6


@pytest.mark.parametrize("name", FONTS)
def test_no_picture_is_cut(glyph_data, name):
    """Against the same glyph on a canvas three times as large, where nothing can be cut."""
    font = open_font(name)
    font.set_size(22, 72)
    shrunk = 0
    for i in np.flatnonzero(glyph_data.present[name]):
        glyph = font.load_char(int(glyph_data.ids[i]), flags=LoadFlags.NO_HINTING)
        canvas = np.zeros((96, 96), np.uint8)
        font.draw_glyph_to_bitmap(canvas, 40, 40, glyph)
        rows, columns = (np.flatnonzero(canvas.any(axis=a)) for a in (1, 0))
        ink = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        picture = np.round(glyph_data.modalities[name][i] * 255).astype(np.uint8)
        rows, columns = (np.flatnonzero(picture.any(axis=a)) for a in (1, 0))
        got = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if np.array_equal(got, ink):
            continue
        shrunk += 1
        # The same shape but smaller: the ink shrinks with the square of the scale. Edges fall on
        # other pixels, hence up to two of difference.
        scale = (ink.sum() / got.sum()) ** 0.5
        assert 1 < scale < 1.25, glyph_data.modalities["name"][i]
        assert np.abs(np.multiply(got.shape, scale) - ink.shape).max() <= 2
    assert shrunk < 20


def test_height_over_the_baseline_is_kept(glyph_data):
    sans = glyph_data.modalities["sans"]
    centre = lambda c: (
        (sans[row(glyph_data, c)].sum(axis=1) @ np.arange(32.0)) / (sans[row(glyph_data, c)].sum())
    )
    assert centre(",") > 22
    assert centre("'") < 14
    assert np.flatnonzero(sans[row(glyph_data, "A")].any(axis=1))[-1] == 23  # on the baseline
    # Centred in width, to a pixel.
    for character in "A,'j":
        columns = np.flatnonzero(sans[row(glyph_data, character)].any(axis=0))
        assert abs((columns[0] + columns[-1]) / 2 - 15.5) <= 1


def test_look_alikes_across_scripts_have_one_picture(glyph_data):
    latin, greek, cyrillic = (row(glyph_data, c) for c in "AΑА")
    sans = glyph_data.modalities["sans"]
    np.testing.assert_array_equal(sans[latin], sans[greek])
    np.testing.assert_array_equal(sans[latin], sans[cyrillic])


def test_groups_of_look_alikes_are_those_of_equal_pictures(glyph_data):
    pictures = [glyph_data.modalities[name] for name in FONTS]
    present = [glyph_data.present[name] for name in FONTS]
    groups = preprocessing.duplicate_groups(*pictures, present=present)
    assert len({groups[row(glyph_data, c)] for c in "AΑА"}) == 1
    assert groups[row(glyph_data, "A")] != groups[row(glyph_data, "B")]
    assert 200 < (np.bincount(groups) > 1).sum() < 500
    # Every member of a group has a partner whose picture is the same; equal pictures share a group.
    same = lambda a, b: any(
        m[a] and m[b] and np.array_equal(p[a], p[b]) for p, m in zip(pictures, present, strict=True)
    )
    for group in np.flatnonzero(np.bincount(groups) > 1):
        members = np.flatnonzero(groups == group)
        assert all(any(same(a, b) for b in members if b != a) for a in members)
    some = np.arange(0, len(groups), 29)
    for a, b in itertools.combinations(some, 2):
        assert groups[a] == groups[b] or not same(a, b)


def test_outlines_are_trajectories_in_em(glyph_data):
    points = glyph_data.modalities["outline"]["points"]
    where = glyph_data.modalities["outline"]["where"]
    assert points.dtype == np.float32
    assert points.shape == (len(glyph_data), 256, 3)
    assert where.any(axis=1).all()
    assert (where[:, :-1] >= where[:, 1:]).all()  # padding only at the end
    assert (points[~where] == 0).all()
    assert (points[:, 0, 2] == 0).all()  # begins by moving there
    assert np.isin(points[..., 2], (0, 1)).all()
    assert np.abs(points[..., :2]).max() < 2
    # A bar of the em: its outline is a rectangle with the corners that the font says.
    bar = points[row(glyph_data, "_")][where[row(glyph_data, "_")]]
    font = open_font("sans")
    font.set_size(2048, 72)
    left, bottom, right, top = np.array(font.load_char(ord("_")).bbox) / 64 / 2048
    np.testing.assert_allclose(bar[:, 0].min(), left, atol=1e-3)
    np.testing.assert_allclose(bar[:, 0].max(), right, atol=1e-3)
    np.testing.assert_allclose(bar[:, 1].min(), bottom, atol=1e-3)
    np.testing.assert_allclose(bar[:, 1].max(), top, atol=1e-3)


def test_properties_are_those_of_unicode_and_finite(glyph_data):
    table = glyph_data.modalities["properties"]
    columns = glyph_data.column_names["properties"]
    assert table.dtype == np.float32
    assert table.shape == (len(glyph_data), len(columns))
    assert np.isfinite(table).all()
    assert (table.std(axis=0) > 0).all()
    assert len(set(columns)) == len(columns)
    column = lambda name: table[:, columns.index(name)]
    assert column("is_mirrored")[row(glyph_data, "(")] == 1
    assert column("has_digit")[row(glyph_data, "7")] == 1
    assert column("bidirectional=R")[row(glyph_data, "א")] == 1
    assert column("combining_class")[row(glyph_data, "\u0301")] == np.float32(230 / 255)
    assert column("canonical_length")[row(glyph_data, "Ễ")] == 3
    for group in ("bidirectional", "east_asian_width", "decomposition"):
        one_hot = np.array([c.startswith(f"{group}=") for c in columns])
        np.testing.assert_array_equal(table[:, one_hot].sum(axis=1), 1)


def test_labels_are_script_and_category(glyph_data):
    scripts, categories = glyph_data.label_names["script"], glyph_data.label_names["category"]
    script = lambda c: scripts[glyph_data.labels["script"][row(glyph_data, c)]]
    assert [script(c) for c in "AΑА"] == ["LATIN", "GREEK", "CYRILLIC"]
    assert script("€") == "OTHER"
    counts = np.bincount(glyph_data.labels["script"], minlength=len(scripts))
    assert counts.min() >= 20
    for code, label in zip(glyph_data.ids.tolist(), glyph_data.labels["category"], strict=True):
        assert categories[label] == unicodedata.category(chr(code))


def test_names_are_unique(glyph_data):
    names = glyph_data.modalities["name"]
    assert len(set(names.tolist())) == len(glyph_data)


def test_size_scales_the_picture(glyph_data):
    large = data.glyphs(size=64)
    np.testing.assert_array_equal(large.ids, glyph_data.ids)
    halved = large.modalities["sans"].reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4))
    # The same shape up to where the pixel grid falls.
    ratio = halved.sum(axis=(1, 2)) / glyph_data.modalities["sans"].sum(axis=(1, 2))
    assert np.abs(np.median(ratio) - 1) < 0.02


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("size", [0, 7, -32, 32.0, True, "32", None])
def test_faulty_size_is_refused(size):
    with pytest.raises(ValueError, match="glyphs: `size` must be an integer of at least 8, got"):
        data.glyphs(size=size)
