import dataclasses

import jax
import numpy as np
import pytest

from crossmodal_jax import data


def parts(n=5):
    return {
        "modalities": {
            "image": np.arange(n * 4, dtype=np.float32).reshape(n, 2, 2),
            "series": {"points": np.ones((n, 3, 2), np.float32), "where": np.ones((n, 3), bool)},
            "text": np.array([f"t{i}" for i in range(n)]),
            "table": np.arange(n * 2, dtype=np.float32).reshape(n, 2),
        },
        "present": {
            "image": np.arange(n) % 2 == 0,
            **dict.fromkeys(("series", "text", "table"), np.ones(n, bool)),
        },
        "labels": {"kind": np.arange(n, dtype=np.int32) % 2},
        "label_names": {"kind": ("even", "odd")},
        "ids": np.arange(n) + 100,
        "column_names": {"table": ("a", "b")},
    }


def test_take_slices_everything_by_the_same_rows():
    dataset = data.Dataset(**parts())
    taken = dataset.take(np.array([3, 0]))
    assert len(taken) == 2
    np.testing.assert_array_equal(taken.ids, [103, 100])
    np.testing.assert_array_equal(taken.modalities["image"][:, 0, 0], [12, 0])
    assert taken.modalities["text"].tolist() == ["t3", "t0"]
    assert taken.present["image"].tolist() == [False, True]
    assert taken.labels["kind"].tolist() == [1, 0]
    assert taken.modalities["series"]["points"].shape == (2, 3, 2)
    assert taken.column_names == dataset.column_names


def test_take_by_mask_is_take_by_rows():
    dataset = data.Dataset(**parts())
    mask = np.array([True, False, False, True, True])
    expected = dataset.take(np.array([0, 3, 4]))
    jax.tree.map(
        np.testing.assert_array_equal,
        dataclasses.asdict(dataset.take(mask)),
        dataclasses.asdict(expected),
    )


def test_take_of_nothing_is_an_empty_dataset():
    assert len(data.Dataset(**parts()).take(np.array([], int))) == 0


def test_batch_holds_numbers_presence_labels_and_ids():
    batch = data.Dataset(**parts()).batch(np.array([1, 1, 4]))
    assert set(batch) == {"image", "series", "table", "present", "label", "id"}
    assert set(batch["present"]) == {"image", "series", "table"}
    assert batch["present"]["image"].tolist() == [False, False, True]
    assert batch["label"]["kind"].tolist() == [1, 1, 0]
    assert batch["id"].dtype == np.int32
    assert batch["id"].tolist() == [101, 101, 104]
    assert all(x.dtype.kind in "bif" for x in jax.tree.leaves(batch))


def test_batch_keeps_wide_ids_whole():
    dataset = data.Dataset(**{**parts(2), "ids": np.array([2**40, 7])})
    assert dataset.batch(np.array([0]))["id"].tolist() == [2**40]


def test_dataset_is_frozen():
    dataset = data.Dataset(**parts())
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.ids = dataset.ids


FAULTS = {
    "rows of a modality": (
        lambda p: p["modalities"].update(image=np.zeros((4, 2, 2))),
        r"modality 'image' must have one row per id, 5 rows, got shapes \[\(4, 2, 2\)\]",
    ),
    "rows of a leaf": (
        lambda p: p["modalities"]["series"].update(where=np.ones((3, 3), bool)),
        "modality 'series' must have one row per id",
    ),
    "no presence": (lambda p: p["present"].pop("text"), "must have the same keys"),
    "no modality": (lambda p: (p["modalities"].clear(), p["present"].clear()), "at least one"),
    "reserved name": (
        lambda p: (
            p["modalities"].update(label=np.zeros(5)),
            p["present"].update(label=np.ones(5, bool)),
        ),
        "none of",
    ),
    "rows of a mask": (
        lambda p: p["present"].update(image=np.ones(4, bool)),
        "`present` of modality 'image'",
    ),
    "mask of numbers": (
        lambda p: p["present"].update(image=np.ones(5)),
        "`present` of modality 'image' must be boolean",
    ),
    "rows of labels": (lambda p: p["labels"].update(kind=np.zeros(4, int)), "labels 'kind'"),
    "negative label": (
        lambda p: p["labels"].update(kind=np.array([0, -1, 1, 0, 0])),
        r"labels 'kind' must lie in \[0, 2\), got others in 1 rows \(first: \[1\]\)",
    ),
    "large label": (lambda p: p["labels"].update(kind=np.array([0, 2, 2, 0, 0])), r"\[1, 2\]"),
    "unnamed labels": (lambda p: p["label_names"].clear(), "`labels` and `label_names`"),
    "same id": (
        lambda p: p.update(ids=np.array([1, 2, 2, 1, 3])),
        r"`ids` must differ, got 2 that occur more than once \(first: \[1, 2\]\)",
    ),
    "columns": (lambda p: p.update(column_names={"table": ("a",)}), "`column_names` of 'table'"),
}


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_parts_are_named(fault):
    spoil, message = FAULTS[fault]
    faulty = parts()
    spoil(faulty)
    with pytest.raises(ValueError, match=message):
        data.Dataset(**faulty)


def test_objects_and_lists_are_no_modality():
    for modality in ([1, 2, 3, 4, 5], np.array([None] * 5)):
        faulty = parts()
        faulty["modalities"]["image"] = modality
        with pytest.raises(TypeError, match="modality 'image' must hold NumPy arrays"):
            data.Dataset(**faulty)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.array([0, 5]), r"must lie in \[0, 5\), got 1 outside \(first: \[5\]\)"),
        (np.array([-1]), r"first: \[-1\]"),
        (np.ones(4, bool), "a mask `rows` must have shape"),
        (np.array([0.0]), "must be integers"),
        (np.zeros((1, 1), int), "must be integers"),
    ],
)
@pytest.mark.parametrize("method", ["take", "batch"])
def test_faulty_rows_are_named(method, rows, message):
    with pytest.raises(ValueError, match=message):
        getattr(data.Dataset(**parts()), method)(rows)
