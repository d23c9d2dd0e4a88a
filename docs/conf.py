"""Sphinx configuration; everything it needs is installed, nothing is fetched."""

import inspect
import re
import sys
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

import crossmodal_jax

sys.path.insert(0, str(Path(__file__).parent))
import _losses
import _operators
import _transforms

project = "crossmodal_jax"
author = "The crossmodal_jax authors"
version = release = crossmodal_jax.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
# Docstrings write `x` for code, as their readers in an editor expect.
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Shapes stand in the text of each argument; annotations would repeat them at twice the length.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_attr_annotations = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
add_module_names = False
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 88
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = f"crossmodal_jax {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5f8b", "color-brand-content": "#1f5f8b"},
    "dark_css_variables": {"color-brand-primary": "#7fb8dc", "color-brand-content": "#7fb8dc"},
}

# Examples, emphasis, and what stands in backticks already, are kept as they are.
_KEPT = re.compile(
    r"(^ *>>> .*?(?:\n *\n|\Z)|`[^`]*`|(?<![\w*])\*\w[^*\n]*\*(?![\w*]))", re.MULTILINE | re.DOTALL
)
_SHAPE = re.compile(r"(?<![\w\]])(\[[^\[\]`]*\])")
_RETURNS = re.compile(r"^Returns:\n", re.MULTILINE)


def _to_markup(text: str) -> str:
    """Turns the plain text of a docstring into markup: shapes as code, no stray markup."""
    pieces = _KEPT.split(text)
    for i in range(0, len(pieces), 2):
        parts = _SHAPE.split(pieces[i])
        parts[::2] = [re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
        parts[1::2] = [f"``{' '.join(shape.split())}``" for shape in parts[1::2]]
        pieces[i] = "".join(parts)
        # Code that goes on as a word, `Array`s, needs a mark of its end.
        if i and pieces[i - 1].endswith("`") and re.match(r"\w", pieces[i]):
            pieces[i] = "\\ " + pieces[i]
    # A colon in the text of Returns is a colon, not the end of a type.
    return _RETURNS.sub(":returns:\n", "".join(pieces))


def _string_after(name: str) -> list[str]:
    """Finds the string after the assignment of a constant that its room re-exports."""
    room, _, constant = name.rpartition(".")
    for module in [m for m in sys.modules if m.startswith(f"{room}._")]:
        found = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", constant))
        if found:
            return found
    return []


def _process_docstring(_app, what, name, _obj, _options, lines):
    if what == "data":
        lines[:] = _string_after(name)
    lines[:] = _to_markup("\n".join(lines)).split("\n")


def _process_signature(_app, what, _name, obj, _options, signature, returns):
    if what == "class" and signature == "(*args, **kwargs)":
        # The metaclass takes anything; what a class needs is what its `__init__` says.
        parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
        plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
        signature = str(inspect.Signature(plain))
    return signature, returns


def setup(app):
    # Before napoleon, which reads the sections at the default priority of 500.
    app.connect("autodoc-process-docstring", _process_docstring, priority=400)
    app.connect("autodoc-process-signature", _process_signature)
    app.connect("source-read", _losses.page)
    app.connect("source-read", _operators.page)
    app.connect("source-read", _transforms.page)
