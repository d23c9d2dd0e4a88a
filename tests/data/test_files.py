import numpy as np
import pytest

from crossmodal_jax import data


def arrays():
    rng = np.random.default_rng(0)
    return {
        "image": rng.normal(size=(4, 2, 2)).astype(np.float32),
        "series/points": rng.normal(size=(4, 3, 2)),
        "series/where": rng.random((4, 3)) < 0.5,
        "caption": np.array(["a", "bb", "ccc", ""]),
        "present/caption": np.array([True, True, True, False]),
        "kind": np.array(["dog", "cat", "dog", "ant"]),
        "grade": np.array([3, 1, 3, 1]),
        "key": np.array([40, 30, 20, 2**40]),
    }


def write(folder, **changes):
    path = folder / "data.npz"
    content = {**arrays(), **changes}
    np.savez(path, **{key: x for key, x in content.items() if x is not None})
    return path


def load(path):
    return data.load_npz(path, labels=["kind", "grade"], ids="key")


def test_a_file_becomes_a_dataset(tmp_path):
    dataset, given = load(write(tmp_path)), arrays()
    assert sorted(dataset.modalities) == ["caption", "image", "series"]
    np.testing.assert_array_equal(dataset.modalities["image"], given["image"])
    np.testing.assert_array_equal(dataset.modalities["series"]["where"], given["series/where"])
    assert dataset.present["caption"].tolist() == [True, True, True, False]
    assert dataset.present["image"].all()
    assert dataset.label_names == {"kind": ("ant", "cat", "dog"), "grade": ("1", "3")}
    assert dataset.labels["kind"].tolist() == [2, 1, 2, 0]
    assert dataset.labels["grade"].tolist() == [1, 0, 1, 0]
    assert dataset.ids.tolist() == given["key"].tolist()


def test_rows_are_numbered_without_ids(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((3, 2)))
    assert data.load_npz(str(path)).ids.tolist() == [0, 1, 2]


def test_objects_are_refused_and_never_unpickled(tmp_path):
    opened = tmp_path / "opened"

    class Trap:
        def __reduce__(self):
            return (open, (str(opened), "w"))

    path = write(tmp_path, caption=np.array([Trap()] * 4, dtype=object))
    with pytest.raises(ValueError, match=r"'caption' of .* must be an intact array"):
        load(path)
    assert not opened.exists()


FAULTS = {
    "missing label": ({"kind": None}, r"must have 'kind', got \['caption'"),
    "misspelt ids": ({"key": None, "keys": np.arange(4)}, "did you mean 'keys'"),
    "rows of a modality": ({"image": np.zeros((3, 2))}, r"must have the same rows, got .*\(3,\)"),
    "scalar": ({"image": np.float32(1)}, "must have the same rows"),
    "stray mask": ({"present/sound": np.ones(4, bool)}, r"got \['present/sound'\] beside"),
    "rows of labels": ({"kind": np.array(["a"])}, "labels 'kind' must have shape"),
    "rows of a mask": ({"present/image": np.ones(2, bool)}, "`present` of modality 'image'"),
    "real labels": ({"grade": np.ones(4)}, "labels 'grade' of .* must be integers or strings"),
    "text ids": ({"key": np.array(list("abcd"))}, "ids 'key' of .* must be integers"),
    "equal ids": ({"key": np.zeros(4, int)}, "`ids` must differ"),
    "name and folder": ({"series": np.zeros(4)}, "must not have both 'series' and 'series/…'"),
}


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_content_is_named(fault, tmp_path):
    changes, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path, **changes))


def test_an_archive_of_nothing_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path)
    with pytest.raises(ValueError, match=r"must have the same rows, got \{\}"):
        data.load_npz(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(FileNotFoundError):
        data.load_npz(path)
    np.save(tmp_path / "x.npy", np.zeros(3))
    whole = write(tmp_path).read_bytes()
    contents = (b"", b"text", (tmp_path / "x.npy").read_bytes(), whole[: len(whole) // 2])
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.npz must be an \.npz archive"):
            data.load_npz(path)


def test_a_flipped_bit_is_found(tmp_path):
    path = write(tmp_path)
    content = bytearray(path.read_bytes())
    start = content.find(arrays()["image"].tobytes())
    assert start > 0
    content[start + 5] ^= 16
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"'image' of .* must be an intact array"):
        load(path)
