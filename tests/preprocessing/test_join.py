import jax
import numpy as np
import pytest

from crossmodal_jax import preprocessing

join = preprocessing.join_by_id


def tables(strings=False):
    rng = np.random.default_rng(0)
    ids = {
        name: rng.choice(40, size=size, replace=False)
        for name, size in (("image", 25), ("text", 30), ("series", 12))
    }
    if strings:
        ids = {name: np.char.add("sample-", key.astype(str)) for name, key in ids.items()}
    return {
        "image": (ids["image"], rng.normal(size=(25, 4, 4)).astype(np.float32)),
        "text": (ids["text"], np.array([f"text {i}" for i in range(30)])),
        "series": (
            ids["series"],
            {"points": rng.normal(size=(12, 5, 2)), "where": rng.random((12, 5)) < 0.5},
        ),
    }


@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("how", ["outer", "inner"])
def test_join_matches_dictionaries(how, strings):
    given = tables(strings)
    joined = join(given, how=how)
    sets = [set(ids.tolist()) for ids, _ in given.values()]
    expected = set.union(*sets) if how == "outer" else set.intersection(*sets)
    assert joined.ids.tolist() == sorted(expected)
    for name, (ids, tree) in given.items():
        position = {key: row for row, key in enumerate(ids.tolist())}
        for i, key in enumerate(joined.ids.tolist()):
            assert joined.present[name][i] == (key in position)
            row = jax.tree.map(lambda x, i=i: x[i], joined.modalities[name])
            if key in position:
                source = jax.tree.map(lambda x, r=position[key]: x[r], tree)
            else:
                source = jax.tree.map(lambda x: np.zeros_like(x[0]), tree)
            jax.tree.map(np.testing.assert_array_equal, row, source)
    assert joined.modalities["image"].dtype == np.float32


@pytest.mark.parametrize("shuffled", ["image", "text", "series"])
def test_shuffling_one_table_changes_nothing(shuffled):
    given = tables()
    expected = join(given)
    ids, tree = given[shuffled]
    order = np.random.default_rng(1).permutation(len(ids))
    given[shuffled] = (ids[order], jax.tree.map(lambda x: x[order], tree))
    jax.tree.map(np.testing.assert_array_equal, join(given), expected)


def test_an_empty_table_is_absent_everywhere():
    joined = join(
        {"a": (np.array([2, 1]), np.array([2.0, 1.0])), "b": (np.array([], int), np.zeros((0, 3)))}
    )
    assert joined.present["b"].tolist() == [False, False]
    assert joined.modalities["b"].shape == (2, 3)


def test_joined_tables_make_a_dataset():
    from crossmodal_jax import data

    joined = join(tables())
    dataset = data.Dataset(joined.modalities, joined.present, {}, {}, joined.ids)
    assert len(dataset) == len(joined.ids)


@pytest.mark.usefixtures("no_jaxtyping")
def test_faulty_tables_are_named():
    good = (np.array([1, 2]), np.zeros(2))
    with pytest.raises(ValueError, match=r"table 'b' must differ, got 1 .*\(first: \[7\]\)"):
        join({"a": good, "b": (np.array([7, 7, 1]), np.zeros(3))})
    with pytest.raises(ValueError, match=r"table 'b' must have one row per id, got ids of shape"):
        join({"a": good, "b": (np.array([7, 1]), np.zeros(3))})
    with pytest.raises(TypeError, match="ids must be all integers or all strings"):
        join({"a": good, "b": (np.array(["x"]), np.zeros(1))})
    with pytest.raises(TypeError, match="ids must be all integers or all strings"):
        join({"a": (np.array([1.0, 2.0]), np.zeros(2))})
    with pytest.raises(ValueError, match="at least one table"):
        join({})
    with pytest.raises(ValueError, match="did you mean 'outer'"):
        join({"a": good}, how="outter")
