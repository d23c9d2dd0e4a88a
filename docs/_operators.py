"""All fusion operators side by side, made of their docstrings while the site is built."""

import inspect
import re

import jax

from crossmodal_jax import fusion

KINDS = {
    "vectors": "Vectors",
    "tokens": "Tokens",
    "distributions": "Distributions",
    "decisions": "Decisions",
}
PARTS = ("Absence", "Cost", "Choose it")
_CODE = re.compile(r"(`[^`]*`)")
_SHAPE = re.compile(r"(?<![\w\]])(\[[^\[\]`]*\])")


def parts(name: str) -> dict[str, str]:
    """Splits the docstring of an operator into its first line, its formula, and `PARTS`."""
    head = re.split(r"^Args:$", inspect.getdoc(getattr(fusion, name)), flags=re.MULTILINE)[0]
    first, _, rest = head.partition("\n\n")
    pieces = re.split(rf"^({'|'.join(PARTS)})\b:?", rest, flags=re.MULTILINE)
    found = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    return {"first": first, "formula": pieces[0], **found}


def page(_app, docname, source):
    """Puts the operators where the page has its mark; a handler of `source-read`."""
    if docname == "concepts/fusion":
        sections = "\n".join(_kind(kind, title) for kind, title in KINDS.items())
        source[0] = source[0].replace("<!-- operators -->", sections)


def _kind(kind: str, title: str) -> str:
    names = [name for name, operator in fusion.OPERATORS.items() if operator.kind == kind]
    rows = [
        f"| [{name}](#{name.replace('_', '-')}) | {markdown(parts(name)['first'])} "
        f"| {_num_weights(name)} |"
        for name in names
    ]
    table = ["| operator | | weights |", "|---|---|---:|", *rows]
    return "\n".join([f"## {title}", "", *table, "", *map(_section, names)])


def _section(name: str) -> str:
    found = {part: markdown(text.strip()) for part, text in parts(name).items()}
    body = [found["first"], found["formula"]]
    body += [f"**{part}** {found[part]}" for part in PARTS]
    link = f"{{py:func}}`Arguments, errors, example and source <crossmodal_jax.fusion.{name}>`"
    return "\n\n".join([f"({name.replace('_', '-')})=\n### {name}", *body, link, ""])


def _num_weights(name: str) -> str:
    """The number of weights for two modalities of width 64 and a result of width 64."""
    operator = fusion.OPERATORS[name]
    weights = jax.eval_shape(lambda key: operator.init(key, (64, 64), 64), jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(weights))
    return f"{count:,}" if count else "none"


def markdown(text: str) -> str:
    """Turns the plain text of a docstring into Markdown: shapes as code, no stray markup."""
    pieces = _CODE.split(text)
    for i in range(0, len(pieces), 2):
        plain = _SHAPE.split(pieces[i])
        plain[::2] = [re.sub(r"([*_|<>])", r"\\\1", part) for part in plain[::2]]
        plain[1::2] = [f"`{' '.join(shape.split())}`" for shape in plain[1::2]]
        pieces[i] = "".join(plain)
    return "".join(pieces)
