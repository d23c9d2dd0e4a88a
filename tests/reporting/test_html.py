"""The report is one safe, repeatable file that shows everything it was given."""

import html.parser
import re
import subprocess
import sys

import numpy as np
import pytest

from crossmodal_jax.reporting import ReportData, render_model_card, render_report

VOID = {"meta", "img", "br", "link", "hr", "input"}
HOSTILE = [
    "<script>alert(1)</script>",
    "</title></style><img src=x onerror=alert(1)>",
    '"\' onmouseover="alert(1)',
    "]]><svg onload=alert(1)>",
    "</text></svg><iframe src=//evil.example>",
    "{{ 7 * 7 }}{% raise %}",
    "a & b < c > d",
    "$\\frac{broken$",
    "-->&#60;b&#62;",
    "漢字 и ﷽",
]


class Page(html.parser.HTMLParser):
    """Collects the elements of a page and its text, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def tags(self):
        return {tag for tag, _ in self.elements}


@pytest.fixture(scope="module")
def page(fields):
    return Page(render_report(ReportData(**fields)))


def test_every_part_is_there(page, fields):
    text = " ".join("".join(page.text).split())
    for heading in (
        *(
            "Results",
            "translate sans → serif",
            "classify script",
            "Queries and their five best answers",
            "Similarity",
        ),
        *("The fused space", "Fusion weights", "Missing modalities", "Translation"),
        *("Training", "Configurations tried", "Facts", "Configuration", "Versions"),
    ):
        assert heading in text
    assert "Together, sans, serif and mono find the right name in 66" in text
    figures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(figures) == 5
    pictures = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    present = int(fields["query_present"].sum())
    assert len(pictures) == present + 3 * 10
    assert all(source.startswith("data:image/png;base64,") for source in pictures)


def test_nothing_is_fetched_and_nothing_runs(page):
    assert not page.tags() & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for _, attributes in page.elements:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in {"src", "href", "xlink:href"}:
                assert value.startswith(("data:image/png", "#")), value
    assert "@import" not in "".join(page.text)
    assert not re.search(r"url\((?!#)", "".join(page.text))


def test_ids_are_unique_and_every_reference_has_its_target(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    values = [v for _, attributes in page.elements for v in attributes.values()]
    used = {v[1:] for _, a in page.elements for k, v in a.items() if k == "href" and v[0] == "#"}
    used |= {name for value in values for name in re.findall(r"url\(#([^)]+)\)", value or "")}
    assert used
    assert used <= set(ids)


def test_equal_data_gives_equal_bytes_even_in_another_process(fields):
    first = render_report(ReportData(**fields))
    assert render_report(ReportData(**fields)) == first
    assert len(first.encode()) < 3_000_000
    small = "ReportData(title='t', metrics={}, fusion_weights={'a': 0.5, 'b': 0.5}, versions={})"
    code = (
        "import hashlib, matplotlib; matplotlib.rcParams['lines.linewidth'] = 9\n"
        "from crossmodal_jax.reporting import *\n"
        f"print(hashlib.sha256(render_report({small}).encode()).hexdigest())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout


def test_settings_of_matplotlib_stay_and_pyplot_is_not_loaded(fields):
    code = (
        "import sys, matplotlib\n"
        "before = matplotlib.rcParams.copy()\n"
        "from crossmodal_jax.reporting import *\n"
        "render_report(ReportData(title='t', metrics={}, fusion_weights={'a': 0.5}))\n"
        "assert matplotlib.rcParams.copy() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.fixture
def hostile(fields):
    names = [HOSTILE[i % len(HOSTILE)] for i in range(12)]
    answers = [[(HOSTILE[(i + k) % 10], 0.5, k == 1) for k in range(5)] for i in range(12)]
    labels = [HOSTILE[i % len(HOSTILE)] for i in range(400)]
    return {
        **fields,
        "title": " ".join(HOSTILE),
        "config": {HOSTILE[0]: {HOSTILE[1]: HOSTILE[2]}},
        "facts": dict.fromkeys(HOSTILE, HOSTILE[0]),
        "versions": {HOSTILE[3]: HOSTILE[4]},
        "metrics": {f"test/retrieval/{HOSTILE[0].replace('/', '')}->name/cca/recall_at_1": 0.5},
        "history": [{"step": i, "loss": 1.0, f"validation/{HOSTILE[4]}": 0.5} for i in range(3)],
        "sweep": [{HOSTILE[0]: HOSTILE[1], "chosen": True}],
        "query_modalities": HOSTILE[:3],
        "query_names": names,
        "query_best": answers,
        "similarity_names": names,
        "embedding_labels": labels,
        "fusion_weights": dict.fromkeys(HOSTILE, 0.5),
        "missing_curves": {name: {0: (0.5, 0.4, 0.6)} for name in HOSTILE},
        "translation": {**fields["translation"], HOSTILE[4]: fields["translation"]["ridge"]},
    }


def test_untrusted_text_stays_text(hostile, page):
    text = render_report(ReportData(**hostile))
    attacked = Page(text)
    # The attack adds neither an element nor an attribute that the harmless page lacks.
    assert attacked.tags() <= page.tags()
    names = {name for _, attributes in page.elements for name in attributes}
    assert {name for _, attributes in attacked.elements for name in attributes} <= names
    shown = "".join(attacked.text)
    for string in HOSTILE:
        assert string in shown
    svg_text = [i for i, (tag, _) in enumerate(attacked.elements) if tag == "text"]
    assert len(svg_text) > 50


def test_the_model_card_escapes_too(hostile):
    card = render_model_card(ReportData(**hostile))
    assert not re.search(r"<[a-z/!]", card)
    for line in card.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in {3, 6}, line


@pytest.mark.parametrize("part", ["history", "sweep", "query_names", "similarity", "embedding"])
def test_a_part_without_data_is_left_out(fields, part):
    empty = {"similarity": None, "embedding": None}.get(part, ())
    changes = {part: empty}
    if part == "query_names":
        changes |= {
            "query_best": (),
            "query_present": None,
            "query_pictures": np.zeros((0, 3, 1, 1), np.float32),
        }
    text = "".join(Page(render_report(ReportData(**{**fields, **changes}))).text)
    heading = {
        "history": "The run that was evaluated",
        "sweep": "Configurations tried",
        "query_names": "five best answers",
        "similarity": "Scores of some queries",
        "embedding": "The fused space",
    }[part]
    assert heading not in text
    assert "Missing modalities" in text


def test_many_points_become_one_picture(fields):
    rng = np.random.default_rng(0)
    changes = {"embedding": rng.normal(size=(20000, 2)), "embedding_labels": ["a", "b"] * 10000}
    assert len(render_report(ReportData(**{**fields, **changes}))) < 1_000_000


def test_verdicts_and_absent_pictures(fields, page):
    text = "".join(page.text)
    ranks = [
        next((k for k, answer in enumerate(best, 1) if answer[2]), None)
        for best in fields["query_best"]
    ]
    assert text.count("at place 3") == ranks.count(3)
    assert text.count("not among them") == ranks.count(None)
    absent = [a for _, a in page.elements if a.get("class") == "absent"]
    assert len(absent) == int((~fields["query_present"]).sum())
