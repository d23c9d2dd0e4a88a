import itertools

import numpy as np
import pytest

from crossmodal_jax import preprocessing
from crossmodal_jax.preprocessing import _split

split_groups = preprocessing.split_groups


def population(n=3000, seed=0):
    """Rows with groups of one to five, some across strata, of very different frequency."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n), rng.choice([1, 1, 1, 1, 2, 3, 5], size=n))[:n]
    strata = rng.choice(6, size=n, p=[0.4, 0.3, 0.15, 0.1, 0.04, 0.01])
    strata = np.where(rng.random(n) < 0.8, strata[groups], strata)
    order = rng.permutation(n)
    return groups[order], strata[order], rng.random(n) < 0.7


@pytest.mark.parametrize("seed", range(4))
def test_laws_of_a_split(seed):
    groups, strata, eligible = population(seed=seed)
    sizes = {"test": 301, "validation": 200}
    split = split_groups(groups, strata=strata, eligible=eligible, sizes=sizes, seed=seed)
    assert list(split) == ["train", "test", "validation"]
    assert {name: len(split[name]) for name in sizes} == sizes
    every = np.concatenate(list(split.values()))
    np.testing.assert_array_equal(np.sort(every), np.arange(len(groups)))
    for rows in split.values():
        assert (np.diff(rows) > 0).all()
    for a, b in itertools.combinations(split.values(), 2):
        assert not set(groups[a]) & set(groups[b])
    preprocessing.check_leakage(split, groups)
    whole = ~np.isin(groups, groups[~eligible])
    proportions = np.bincount(strata[whole], minlength=6) / whole.sum()
    for name, size in sizes.items():
        assert eligible[split[name]].all()
        got = np.bincount(strata[split[name]], minlength=6) / size
        np.testing.assert_allclose(got, proportions, atol=0.01)


def test_deterministic_in_the_seed():
    groups, strata, eligible = population()
    call = lambda seed: split_groups(
        groups, strata=strata, eligible=eligible, sizes={"test": 300}, seed=seed
    )
    np.testing.assert_array_equal(call(3)["test"], call(3)["test"])
    overlap = len(np.intersect1d(call(3)["test"], call(4)["test"]))
    assert overlap < 150  # two independent draws of 300 share about 60


def test_a_later_part_does_not_change_an_earlier_one():
    groups, strata, _ = population()
    alone = split_groups(groups, strata=strata, sizes={"test": 100}, seed=0)
    both = split_groups(groups, strata=strata, sizes={"test": 100, "validation": 50}, seed=0)
    np.testing.assert_array_equal(alone["test"], both["test"])


def test_labels_of_groups_and_strata_may_be_any_integers():
    groups, strata, _ = population(200)
    a = split_groups(groups, strata=strata, sizes={"test": 50}, seed=1)
    b = split_groups(groups * 7 - 50, strata=strata * 3 - 4, sizes={"test": 50}, seed=1)
    np.testing.assert_array_equal(a["test"], b["test"])


def test_every_row_is_drawn_equally_often():
    groups = np.arange(60)
    drawn = np.zeros(60)
    for seed in range(400):
        drawn[split_groups(groups, strata=groups % 3, sizes={"t": 20}, seed=seed)["t"]] += 1
    # Binomial(400, 1/3): mean 133, deviation 9.4; the largest of 60 stays within 4 deviations.
    assert np.abs(drawn - 400 / 3).max() < 4 * 9.5


@pytest.mark.parametrize("sizes", [{}, {"test": 0}, {"test": 8}, {"a": 3, "b": 5}])
def test_parts_of_any_size(sizes):
    split = split_groups(np.arange(8), sizes=sizes, seed=0)
    assert {name: len(split[name]) for name in sizes} == sizes
    assert len(split["train"]) == 8 - sum(sizes.values())


def test_exact_size_outweighs_strata():
    # Dues are three of each stratum, but only 4 + 2 fits six rows.
    groups = np.repeat([0, 1, 2, 3], [4, 4, 2, 2])
    strata = np.repeat([0, 1], [6, 6])
    for seed in range(10):
        split = split_groups(groups, strata=strata, sizes={"test": 6}, seed=seed)
        assert len(split["test"]) == 6


def test_no_rows():
    split = split_groups(np.zeros(0, int), sizes={"test": 0}, seed=0)
    assert [len(rows) for rows in split.values()] == [0, 0]


def test_impossible_splits_are_refused():
    pairs = np.repeat(np.arange(5), 2)
    with pytest.raises(ValueError, match="part 'test' must have exactly 3 rows, got 5 eligible"):
        split_groups(pairs, sizes={"test": 3}, seed=0)
    with pytest.raises(ValueError, match="5 eligible groups of 10 rows"):
        split_groups(pairs, sizes={"test": 12}, seed=0)
    with pytest.raises(ValueError, match="got 0 eligible groups"):
        split_groups(pairs, eligible=np.arange(10) % 2 == 0, sizes={"test": 2}, seed=0)
    for sizes in ({"train": 2}, {"test": -1}):
        with pytest.raises(ValueError, match="`sizes` must name parts other than 'train'"):
            split_groups(pairs, sizes=sizes, seed=0)


@pytest.mark.usefixtures("no_jaxtyping")
def test_faulty_shapes_are_named():
    with pytest.raises(ValueError, match=r"must share one shape \[n\], got \(3,\), \(2,\) and"):
        split_groups(np.arange(3), strata=np.arange(2), sizes={}, seed=0)


def test_subset_sum_matches_enumeration():
    rng = np.random.default_rng(0)
    for _ in range(60):
        numbers = rng.integers(1, 9, size=rng.integers(0, 7)).tolist()
        subsets = itertools.chain.from_iterable(
            itertools.combinations(numbers, k) for k in range(len(numbers) + 1)
        )
        sums = {sum(subset) for subset in subsets}
        for total in range(-1, 40):
            found = _split._subset_with_sum(numbers, total) if total >= 0 else None
            assert (found is not None) == (total in sums)
            if found is not None:
                assert len(set(found)) == len(found)
                assert sum(numbers[i] for i in found) == total
