"""The headline table: rows, columns, what is best, and what several seeds become."""

import numpy as np
import pytest

from crossmodal_jax.reporting import headline, result_table

KEY = "test/retrieval/{}->name/{}/{}".format


def test_rows_are_singles_then_fused_then_fused_with_fewer():
    sources = ["a+b+c|drop2", "b", "a+b+c", "a", "a+b", "a+b+c|drop1", "a+b|drop1", "c"]
    table = result_table({KEY(source, "cca", "recall_at_1"): 0.5 for source in sources})
    shown = [row.source for row in table.rows]
    assert shown == [
        *("b", "a", "c"),
        *("a+b", "a+b|drop1"),
        *("a+b+c", "a+b+c|drop1", "a+b+c|drop2"),
    ]
    assert [row.label for row in table.rows[3:5]] == ["a + b", "  1 of 2 missing"]


def test_columns_follow_methods_and_the_order_of_metrics():
    metrics = {
        KEY("a", "cca", "median_rank"): 2.0,
        KEY("a", "cca", "recall_at_1"): 0.4,
        KEY("a", "learned", "recall_at_10"): 0.9,
        KEY("a", "learned", "expected_rank"): 3.0,
        KEY("a", "cca", "chance_recall_at_1"): 0.01,
        "test/translate/a->b/ridge/r2": 0.5,
        "validation/retrieval/a->name/cca/recall_at_1": 0.9,
    }
    table = result_table(metrics)
    assert table.columns == (
        ("cca", "recall_at_1"),
        ("cca", "median_rank"),
        ("learned", "recall_at_10"),
    )
    assert table.methods == ("cca", "learned")
    assert table.chance == 0.01
    assert result_table(metrics, shown=["median_rank"]).columns == (("cca", "median_rank"),)


def test_the_best_rank_is_the_lowest_and_ties_share():
    values = {"a": (0.4, 2.0), "b": (0.6, 1.0), "c": (0.6, 3.0)}
    metrics = {}
    for source, (recall, rank) in values.items():
        metrics[KEY(source, "cca", "recall_at_1")] = recall
        metrics[KEY(source, "cca", "median_rank")] = rank
    best = [[cell.best for cell in row.cells] for row in result_table(metrics).rows]
    assert best == [[False, False], [True, True], [True, False]]


def test_intervals_stand_beside_one_run_and_spreads_beside_several():
    key = KEY("a", "cca", "recall_at_1")
    run = {key: 0.5, f"{key}_low": 0.4, f"{key}_high": 0.6}
    (row,) = result_table(run).rows
    assert row.cells[0][:4] == (0.5, 0.4, 0.6, None)
    runs = [run, {**run, key: 0.6}, {**run, key: 0.7}]
    (row,) = result_table(runs).rows
    np.testing.assert_allclose(row.cells[0].value, 0.6)
    np.testing.assert_allclose(row.cells[0].spread, 0.1)  # the sample's, by n - 1
    assert row.cells[0].low is None


def test_a_source_not_evaluated_by_a_method_leaves_an_empty_cell():
    metrics = {KEY("a", "cca", "recall_at_1"): 0.5, KEY("b", "learned", "recall_at_1"): 0.6}
    assert [[c is None for c in row.cells] for row in result_table(metrics).rows] == [
        [False, True],
        [True, False],
    ]


def test_headline_compares_the_best_of_each_kind_and_ignores_dropped():
    metrics = {
        KEY("a", "cca", "recall_at_1"): 0.4,
        KEY("b", "learned", "recall_at_1"): 0.5,
        KEY("a+b", "learned", "recall_at_1"): 0.6,
        KEY("a+b|drop1", "learned", "recall_at_1"): 0.9,
        KEY("a+b", "learned", "chance_recall_at_1"): 0.002,
    }
    assert headline(result_table(metrics)) == (
        "Together, a and b find the right name in 60.0 % of cases (learned); "
        "b alone in 50.0 % (learned); guessing in 0.2 %."
    )
    single = {KEY("a", "cca", "recall_at_1"): 0.4}
    assert headline(result_table(single)) == "a finds the right name in 40.0 % of cases (cca)."
    assert headline(result_table({})) == ""


def test_no_run_at_all_is_an_error():
    with pytest.raises(ValueError, match="result_table: `metrics` must hold at least one run"):
        result_table([])
