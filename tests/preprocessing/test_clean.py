import copy

import jax
import numpy as np
import pytest

from crossmodal_jax import preprocessing

clean = preprocessing.clean


def parts():
    image = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
    image[1, 0, 1] = np.nan
    image[2] = np.inf
    points = np.ones((6, 3, 2), np.float32)
    where = np.arange(3) < np.array([[1], [2], [3], [3], [1], [2]])
    points[~where] = np.nan  # padding, which says nothing
    points[3, 2, 0] = -np.inf
    return (
        {
            "image": image,
            "series": {"points": points, "where": where},
            "text": np.array(["a", "b", "", "", "e", ""]),
        },
        {
            "image": np.array([True, True, True, False, False, False]),
            "series": np.array([True, True, False, True, False, False]),
            "text": np.array([True, True, False, False, True, False]),
        },
    )


def test_clean_counts_drops_and_empties():
    modalities, present = parts()
    cleaned, masks, rows, report = clean(modalities, present)
    # Row 2 has an image of inf, row 3 a broken series, row 5 nothing.
    assert rows.tolist() == [0, 1, 4]
    assert masks["image"].tolist() == [True, False, False]
    assert masks["series"].tolist() == [True, True, False]
    assert masks["text"].tolist() == [True, True, True]
    assert report.num_rows == 6
    assert report.num_dropped == 3
    assert report.num_missing == {"image": 3, "series": 3, "text": 3}
    assert report.num_non_finite == {"image": 2, "series": 1, "text": 0}
    assert report.num_present == {"image": 1, "series": 2, "text": 3}
    np.testing.assert_array_equal(cleaned["image"][0], modalities["image"][0])
    assert (cleaned["image"][1:] == 0).all()
    np.testing.assert_array_equal(cleaned["series"]["where"][:2], modalities["series"]["where"][:2])
    assert (cleaned["series"]["points"][0] == [[1, 1], [0, 0], [0, 0]]).all()
    assert (cleaned["series"]["points"][2] == 0).all()
    assert not cleaned["series"]["where"][2].any()
    assert cleaned["text"].tolist() == ["a", "b", "e"]
    assert cleaned["image"].dtype == np.float32


def test_required_modalities_drop_rows():
    modalities, present = parts()
    assert clean(modalities, present, required=("image",)).rows.tolist() == [0]
    assert clean(modalities, present, required=("text", "series")).rows.tolist() == [0, 1]


def test_the_input_is_left_as_it_was():
    given = parts()
    before = copy.deepcopy(given)
    clean(*given)
    jax.tree.map(np.testing.assert_array_equal, given, before)


def test_cleaning_twice_changes_nothing():
    first = clean(*parts())
    second = clean(first.modalities, first.present)
    jax.tree.map(np.testing.assert_array_equal, second[:2], first[:2])
    assert second.report.num_dropped == 0
    assert not any(second.report.num_non_finite.values())


def test_payload_of_absent_entries_never_shows():
    modalities, present = parts()
    expected = clean(modalities, present)
    modalities["image"][~present["image"]] = 1e30
    modalities["series"]["points"][~present["series"]] = np.nan
    got = clean(modalities, present)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_without_presence_everything_is_present():
    cleaned = clean({"a": np.array([1.0, np.nan]), "b": np.array([1, 2])})
    assert cleaned.present["a"].tolist() == [True, False]
    assert cleaned.present["b"].tolist() == [True, True]


@pytest.mark.usefixtures("no_jaxtyping")
def test_faulty_arguments_are_named():
    modalities, present = parts()
    with pytest.raises(ValueError, match=r"all modalities must have the same rows .*'b': \[\(3,"):
        clean({"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(ValueError, match="must have the same rows"):
        clean({})
    with pytest.raises(ValueError, match=r"required \['sound'\]"):
        clean(modalities, present, required=("sound",))
    with pytest.raises(ValueError, match="`present` must have the keys of `modalities`"):
        clean(modalities, {"image": present["image"]})
    with pytest.raises(ValueError, match=r"modality 'text' must have shape \[n\] = \(6,\)"):
        clean(modalities, {**present, "text": np.ones(5, bool)})
