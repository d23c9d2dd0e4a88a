"""The headline table on a terminal and in a log."""

import rich.console

from crossmodal_jax.reporting import plain_table, result_table, rich_table


def shown(table, width):
    console = rich.console.Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(rich_table(table, width=width))
    return capture.get()


def test_narrow_text_keeps_the_most_important_columns(fields):
    table = result_table(fields["metrics"])
    for width in (60, 80, 120):
        for text in (plain_table(table, width=width), shown(table, width)):
            assert max(map(len, text.splitlines())) <= width, text
            assert "R@1" in text
            assert "66." in text
            assert "62." in text  # its interval
            assert "…" not in text
    assert "R@5" in plain_table(table, width=120)
    assert "R@5" not in plain_table(table, width=80)
    assert "median rank" in plain_table(table)


def test_plain_text_marks_the_best_and_aligns(fields):
    lines = plain_table(result_table(fields["metrics"])).splitlines()
    assert len({line.index("R@1") for line in lines if " R@1 " in line}) == 1
    (best,) = [line for line in lines if line.startswith("sans + serif + mono")]
    assert best.count("*") == 8
    assert lines[-1].endswith("with 95 % bootstrap intervals; guessing 0.2")


def test_seeds_are_named():
    key = "test/retrieval/a->name/cca/recall_at_1"
    text = plain_table(result_table([{key: 0.5}, {key: 0.6}]))
    assert "55.0 ± 7.1" in text
    assert "mean ± standard deviation over 2 seeds" in text


def test_names_are_not_markup():
    table = result_table({"test/retrieval/[red]a[x]->[b]/[i]/recall_at_1": 0.5})
    text = shown(table, 80)
    assert "[red]a[x]" in text
    assert "to [b]" in text
    assert "[i]" in text


def test_an_empty_table_is_empty():
    assert plain_table(result_table({"a": 1.0})).splitlines() == ["to", "from"]
    assert rich_table(result_table({})).row_count == 0
