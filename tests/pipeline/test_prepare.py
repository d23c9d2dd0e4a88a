"""Samples and split: sizes, eligibility, look-alikes, seeds."""

import numpy as np
import pytest

from crossmodal_jax import pipeline


def test_parts_are_disjoint_and_of_exact_size(tiny, prepared):
    split = prepared.split
    assert {part: len(rows) for part, rows in split.items()} == {
        "train": 260,
        "test": tiny.prepare.num_test,
        "validation": tiny.prepare.num_validation,
    }
    assert sorted(np.concatenate(list(split.values())).tolist()) == list(range(300))


def test_test_characters_have_every_picture(prepared):
    assert prepared.present[prepared.split["test"]].all()
    assert prepared.present[prepared.split["validation"]].all()
    assert not prepared.present.all()


def test_no_picture_or_name_lies_on_two_sides(prepared):
    sides = {row: part for part, rows in prepared.split.items() for row in rows.tolist()}
    for name in ("sans", "serif", "mono", "name"):
        seen: dict[bytes, str] = {}
        for row, entry in enumerate(prepared.dataset.modalities[name]):
            if prepared.dataset.present[name][row]:
                assert seen.setdefault(entry.tobytes(), sides[row]) == sides[row]


def test_facts_are_counts_of_the_data(prepared):
    facts = prepared.facts
    sizes = np.bincount(prepared.groups)
    assert facts["samples"] == len(prepared.dataset) == 300
    assert facts["missing in serif"] == (~prepared.dataset.present["serif"]).sum()
    assert facts["look-alike characters"] == sizes[sizes > 1].sum()
    assert facts["train samples"] == 260


def test_seed_decides(tiny, prepared):
    again = pipeline.prepare(tiny.prepare, seed=0)
    other = pipeline.prepare(tiny.prepare, seed=1)
    assert (again.dataset.ids == prepared.dataset.ids).all()
    assert (again.split["test"] == prepared.split["test"]).all()
    assert set(other.dataset.ids[other.split["test"]]) != set(
        prepared.dataset.ids[prepared.split["test"]]
    )


def test_rows_of_parts(prepared):
    mask = prepared.rows("test", "validation")
    assert mask.sum() == 40
    assert (mask == ~prepared.rows("train")).all()


def test_too_few_eligible_characters():
    config = pipeline.PrepareConfig(size=16, num_test=1000, num_validation=2000)
    with pytest.raises(ValueError, match="'validation' must have exactly 2000 rows"):
        pipeline.prepare(config, seed=0)
