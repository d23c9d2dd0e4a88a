"""The documentation builds offline without a warning, and the code in its pages runs."""

import contextlib
import inspect
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crossmodal_jax import losses

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _code(page: Path) -> str:
    """The Python blocks of a page as one script, each line at its own number."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)
    for block in BLOCK.finditer(text):
        first = text[: block.start(1)].count("\n")
        for i, line in enumerate(block[1].splitlines()):
            lines[first + i] = line
    return "\n".join(lines)


PAGES = [ROOT / "README.md", *(p for p in sorted(ROOT.glob("docs/**/*.md")) if _code(p).strip())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_of_a_page_runs(page):
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(_code(page), str(page), "exec"), {"__name__": page.stem})


# One test, since the site takes longer to build than to look at.
def test_site_builds_without_a_warning_and_needs_no_network(tmp_path):
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "cache")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(tmp_path / "html")],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr

    site = tmp_path / "html"
    sources = {p.relative_to(ROOT / "docs").with_suffix("") for p in ROOT.glob("docs/**/*.md")}
    assert sources <= {p.relative_to(site).with_suffix("") for p in site.rglob("*.html")}

    fetched = re.compile(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*\"")
    for page in site.rglob("*.html"):
        assert fetched.findall(page.read_text(encoding="utf-8")) == [], page.name

    page = (site / "concepts" / "losses.html").read_text(encoding="utf-8")
    functions = [name for name, value in vars(losses).items() if inspect.isfunction(value)]
    assert [name for name in functions if f"losses.{name}" not in page] == []

    # A shape is code with its star, and a colon in the text of Returns ends no type.
    fusion = (site / "api" / "fusion.html").read_text(encoding="utf-8")
    assert re.search(r'<span class="pre">\[\*batch,</span> <span class="pre">d_m\]</span>', fusion)
    assert "\\*" not in fusion
