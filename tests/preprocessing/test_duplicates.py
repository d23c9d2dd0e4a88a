import numpy as np
import pytest

from crossmodal_jax import preprocessing

groups_of = preprocessing.duplicate_groups


def brute_force(arrays, present):
    """Transitive closure of the relation "equal in some array", by squaring its matrix."""
    n = len(arrays[0])
    same = np.eye(n, dtype=bool)
    for x, mask in zip(arrays, present, strict=True):
        equal = np.array([[a.tobytes() == b.tobytes() for b in x] for a in x])
        same |= equal & mask[:, None] & mask[None, :]
    for _ in range(n.bit_length()):
        same = (same.astype(int) @ same.astype(int)) > 0
    return same


@pytest.mark.parametrize("n", [1, 7, 60])
@pytest.mark.parametrize("kinds", [3, 40, 2000])  # from everything alike to nothing alike
def test_groups_are_the_connected_components(n, kinds):
    rng = np.random.default_rng(n + kinds)
    arrays = [rng.integers(0, kinds, size=(n, 1, 1)) * np.ones((2, 3)) for _ in range(3)]
    present = [rng.random(n) < p for p in (1.0, 0.6, 0.3)]
    groups = groups_of(*arrays, present=present)
    np.testing.assert_array_equal(groups[:, None] == groups[None, :], brute_force(arrays, present))


def test_groups_are_numbered_by_first_row():
    groups = groups_of(np.array([5, 3, 5, 4, 3]))
    assert groups.tolist() == [0, 1, 0, 2, 1]
    assert groups.dtype == np.int64
    # Row 3 is found to equal row 0, then row 2 to equal row 3.
    assert groups_of(np.array([5, 6, 7, 5]), np.array([1, 2, 3, 3])).tolist() == [0, 1, 0, 0]


def test_permuting_rows_permutes_groups():
    x = np.random.default_rng(0).integers(0, 20, size=50)
    order = np.random.default_rng(1).permutation(50)
    a, b = groups_of(x)[order], groups_of(x[order])
    np.testing.assert_array_equal(a[:, None] == a, b[:, None] == b)


def test_absent_rows_match_nothing():
    blank = np.zeros((4, 2))
    assert groups_of(blank, present=[np.zeros(4, bool)]).tolist() == [0, 1, 2, 3]


def test_equality_is_of_bits():
    assert groups_of(np.array([np.nan, np.nan])).tolist() == [0, 0]
    assert groups_of(np.array([0.0, -0.0])).tolist() == [0, 1]


def test_strings_and_views_are_compared_whole():
    assert groups_of(np.array(["a", "ab", "a"])).tolist() == [0, 1, 0]
    wide = np.arange(8.0).reshape(2, 4).T[::2]  # rows that are not contiguous
    assert groups_of(np.concatenate([wide, wide])).tolist() == [0, 1, 0, 1]


def test_no_rows():
    assert groups_of(np.zeros((0, 3))).shape == (0,)


def test_faulty_arguments_are_named():
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match="at least one array is required"):
        groups_of()
    with pytest.raises(ValueError, match=r"all with the same rows, got shapes \[\(3, 2\), \(2, 2"):
        groups_of(x, x[:2])
    with pytest.raises(ValueError, match="one mask \\[n\\] per array"):
        groups_of(x, x, present=[np.ones(3, bool)])
    with pytest.raises(TypeError, match=r"got objects in \[1\]"):
        groups_of(x, np.array([None, 1, 2]))
