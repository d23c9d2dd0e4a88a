"""Matplotlib figures as SVG that lives inside a page: same data, same bytes.

Nothing global is changed for good: no pyplot, no current figure, and settings only for the
time of one drawing. Text stays text, in the font and the colour of the page around it.
"""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

INK = "#101112"
"""Colour of text and axes; becomes the text colour of the page."""

RULE = "#d8d9da"
"""Colour of grid lines; becomes the rule colour of the page."""

_PAGE_COLOURS = {INK: "currentColor", RULE: "var(--rule)"}
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "crossmodal_jax",
    "text.color": INK,
    # A name may hold a dollar sign, which would start a formula.
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": 10,
    "ytick.color": INK,
    "ytick.labelsize": 10,
}


def draw_svg(
    draw: Callable[[Any], None], *, size: tuple[int, int], name: str, description: str
) -> str:
    """Draws one figure as an `<svg>` element for a page.

    Args:
      draw: Called with an empty `matplotlib.figure.Figure`; draws into it.
      size: Width and height in pixels of the page.
      name: Letters that make the ids of this figure differ from those of others.
      description: What the figure shows, for readers who cannot see it.

    Returns:
      The element, without any reference outside itself.
    """
    import matplotlib
    from matplotlib.figure import Figure

    defaults = {k: v for k, v in matplotlib.rcParamsDefault.items() if "backend" not in k}
    settings: Any = {**defaults, **_STYLE}
    buffer = io.StringIO()
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The page brings the fonts; what DejaVu lacks matters only to the measured width.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        figure = Figure(figsize=(size[0] / 72, size[1] / 72))
        draw(figure)
        # The resolution matters only to what is drawn as a picture inside.
        figure.savefig(buffer, format="svg", dpi=144, transparent=True, metadata={"Date": None})
    return _for_page(buffer.getvalue(), name, description)


def _for_page(text: str, name: str, description: str) -> str:
    root = ET.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            # A style element would apply to the whole page, metadata to nothing.
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            _attribute(key): _value(_attribute(key), value, name)
            for key, value in element.attrib.items()
            if not (key == "id" and element.tag == "g")
        }
        if element.tag == "text":
            element.set(
                "style", re.sub(r"(\d+px) [^;]*", r"\1 var(--font)", element.get("style", ""))
            )
    width = root.get("viewBox", "0 0 1 1").split()[2]
    root.attrib = {
        "viewBox": root.get("viewBox", ""),
        "style": f"max-width: {width}px",
        "role": "img",
        "aria-label": description,
        "class": "figure",
    }
    return ET.tostring(root, encoding="unicode")


def _attribute(key: str) -> str:
    return key.rpartition("}")[2]


def _value(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    if key in {"style", "fill", "stroke"}:
        for colour, replacement in _PAGE_COLOURS.items():
            value = value.replace(colour, replacement)
    return value.replace("url(#", f"url(#{name}-")
