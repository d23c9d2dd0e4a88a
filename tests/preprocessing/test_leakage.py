import numpy as np
import pytest

from crossmodal_jax import preprocessing


def test_a_clean_split_passes():
    split = {"train": np.array([0, 1, 4]), "test": np.array([2, 3])}
    preprocessing.check_leakage(split, np.array([7, 7, 1, 1, 2]))
    preprocessing.check_leakage({"train": np.array([], int)}, np.array([], int))


def test_the_first_five_groups_are_named():
    split = {"train": np.arange(0, 14, 2), "test": np.arange(1, 14, 2)}
    with pytest.raises(ValueError, match=r"got 7 that do") as error:
        preprocessing.check_leakage(split, np.repeat(np.arange(7), 2))
    message = str(error.value)
    assert "0 in test, train; 1 in test, train" in message
    assert "4 in test, train" in message
    assert "5 in" not in message


def test_one_row_in_two_parts_leaks():
    with pytest.raises(ValueError, match="3 in a, b"):
        preprocessing.check_leakage({"a": np.array([3]), "b": np.array([3])}, np.arange(5))


@pytest.mark.parametrize("row", [5, -1])
def test_rows_of_other_samples_are_named(row):
    with pytest.raises(ValueError, match=rf"part 'a' must lie in \[0, 5\).*\[{row}\]"):
        preprocessing.check_leakage({"a": np.array([0, row])}, np.arange(5))
