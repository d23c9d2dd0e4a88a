"""Values and tasks as a person writes them."""

from crossmodal_jax.reporting._format import flatten, format_cell, format_number, other_tasks
from crossmodal_jax.reporting._table import Cell


def test_cells_say_what_is_known():
    assert format_cell(None, "recall_at_1") == ("–", "")
    assert format_cell(Cell(0.5), "recall_at_5") == ("50.0", "")
    assert format_cell(Cell(0.664, spread=0.0125), "recall_at_1") == ("66.4", "± 1.2")
    assert format_cell(Cell(1.0), "median_rank") == ("1", "")
    assert format_cell(Cell(1.5), "median_rank") == ("1.5", "")


def test_numbers_are_short():
    shown = [True, 3, 12345, 0.123456, (1, 0.5), None, [], "x"]
    expected = ["yes", "3", "12\u202f345", "0.1235", "1, 0.5", "–", "–", "x"]
    assert list(map(format_number, shown)) == expected


def test_nested_configurations_get_dotted_names():
    config = {"a": {"b": {"c": 1}, "d": (2,)}, "e": None}
    assert list(flatten(config)) == [("a.b.c", 1), ("a.d", (2,)), ("e", None)]


def test_other_tasks_have_a_row_per_method_and_a_column_per_metric():
    metrics = {
        "test/classify/script/cca/accuracy": 0.5,
        "test/classify/script/cca/accuracy_low": 0.4,
        "test/classify/script/cca/accuracy_high": 0.6,
        "test/retrieval/a->b/cca/recall_at_1": 0.1,
        "test/translate/a+b->c/ridge/r2": -1.0,
        "test/classify/script/learned/macro_recall": 0.25,
        "validation/classify/script/cca/accuracy": 0.9,
    }
    classify, translate = other_tasks(metrics)
    assert classify.name == "classify script"
    assert classify.metrics == ("accuracy", "macro recall")
    assert classify.rows == (
        ("cca", (("0.500", "0.400–0.600"), ("–", ""))),
        ("learned", (("–", ""), ("0.250", ""))),
    )
    assert translate == ("translate a + b → c", ("R²",), (("ridge", (("-1.000", ""),)),))
