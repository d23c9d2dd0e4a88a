"""What the Unicode database says of a character, without its name."""

import collections
import unicodedata

import numpy as np
from jaxtyping import Float, Int

_SMALLEST_SCRIPT = 20


def is_named(code: int) -> bool:
    """Returns whether a code point is a named character that is no space or control."""
    character = chr(code)
    named = unicodedata.name(character, "") != ""
    return named and unicodedata.category(character)[0] not in "ZC" and code < 0x20000


def property_table(
    codes: Int[np.ndarray, "n"],
) -> tuple[Float[np.ndarray, "n p"], tuple[str, ...]]:
    """Tabulates Unicode properties: numbers and flags as they are, classes one-hot.

    Neither the name nor the general category is among them, since they are what tasks predict;
    nor is a numeric value, only that there is one.

    Args:
      codes: Code points.

    Returns:
      The table, float32 and finite, and the names of its columns. Classes that no character of
      `codes` belongs to have no column.
    """
    characters = [chr(code) for code in codes]
    columns = {key: [row[key] for row in map(_numbers, characters)] for key in _numbers("a")}
    for key, classify in _CLASSES.items():
        values = [classify(character) for character in characters]
        for value in sorted(set(values)):
            columns[f"{key}={value}"] = [float(v == value) for v in values]
    return np.array(list(columns.values()), np.float32).T, tuple(columns)


def script_labels(names: list[str]) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    """Labels names by their first word; words of fewer than 20 names are "OTHER".

    For letters that word is the script ("LATIN"), for symbols their block or kind ("BOX").
    """
    words = [name.split()[0] for name in names]
    counts = collections.Counter(words)
    return encode([w if counts[w] >= _SMALLEST_SCRIPT else "OTHER" for w in words])


def category_labels(codes: Int[np.ndarray, "n"]) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    """Labels code points by their two-letter general category."""
    return encode([unicodedata.category(chr(code)) for code in codes])


def encode(values: list[str]) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    """Numbers the distinct values in sorted order; returns the numbers and the values."""
    names, labels = np.unique(values, return_inverse=True)
    return labels.astype(np.int32), tuple(names.tolist())


def _numbers(character: str) -> dict[str, float]:
    decomposition = unicodedata.decomposition(character).split()
    targets = [part for part in decomposition if not part.startswith("<")]
    return {
        "combining_class": unicodedata.combining(character) / 255,
        "is_combining": float(unicodedata.combining(character) > 0),
        "is_mirrored": float(unicodedata.mirrored(character)),
        "has_decimal": float(unicodedata.decimal(character, None) is not None),
        "has_digit": float(unicodedata.digit(character, None) is not None),
        "has_numeric": float(unicodedata.numeric(character, None) is not None),
        "has_decomposition": float(len(targets) > 0),
        "decomposition_length": float(len(targets)),
        "canonical_length": float(len(unicodedata.normalize("NFD", character))),
        "compatible_length": float(len(unicodedata.normalize("NFKD", character))),
        "is_upper": float(character.isupper()),
        "is_lower": float(character.islower()),
        "is_title": float(character.istitle()),
        "has_upper": float(character.upper() != character),
        "has_lower": float(character.lower() != character),
    }


def _decomposition_tag(character: str) -> str:
    first, *_ = unicodedata.decomposition(character).split() or ["none"]
    if first == "none":
        return first
    return first.strip("<>") if first.startswith("<") else "canonical"


_CLASSES = {
    "bidirectional": lambda character: unicodedata.bidirectional(character) or "none",
    "east_asian_width": unicodedata.east_asian_width,
    "decomposition": _decomposition_tag,
}
