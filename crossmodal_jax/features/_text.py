"""Strings into features: hashed n-gram counts on the host, TF-IDF on any device."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import _checks, numerics
from crossmodal_jax._typing import ArrayLike


def hashed_ngrams(
    strings: Sequence[str] | np.ndarray,
    *,
    dim: int,
    ngrams: tuple[int, int] = (2, 4),
    analyzer: str = "char",
) -> Float[np.ndarray, "n dim"]:
    """Counts of the n-grams of each string, in columns chosen by a hash. Runs on the host.

    Column of an n-gram = BLAKE2b(UTF-8 of the n-gram) mod `dim`: the same in every
    process, on every machine and version of Python, with no vocabulary to fit or store.
    Two n-grams may share a column, where their counts add. Case is ignored and words are
    what white space separates.

    Args:
      strings: n strings.
      dim: Number of columns.
      ngrams: Shortest and longest n, both included.
      analyzer: `"char"` counts the substrings of each word between one blank on either
        side, never across words; a padded word shorter than n counts once, as a whole.
        `"word"` counts runs of n words.

    Returns:
      Counts, a NumPy array of shape [n, dim], float32.

    Raises:
      TypeError: If `strings` is one string, or an entry is not a string.
      ValueError: If `dim`, `ngrams` or `analyzer` is out of range.

    Examples:
      >>> counts = hashed_ngrams(["greek alpha", "alpha greek", ""], dim=64)
      >>> counts.shape
      (3, 64)
      >>> bool((counts[0] == counts[1]).all())  # no n-gram crosses a word
      True
      >>> print(counts.sum(1))
      [30. 30.  0.]

    References:
      Weinberger et al., `Feature Hashing for Large Scale Multitask Learning
      <https://arxiv.org/abs/0902.2206>`_, 2009 (without the random signs, so that the
      counts stay counts).
    """
    if isinstance(strings, str):
        raise TypeError("hashed_ngrams: `strings` must be a sequence of strings, got one string.")
    wrong = [row for row, string in enumerate(strings) if not isinstance(string, str)]
    if wrong:
        raise TypeError(
            "hashed_ngrams: every entry of `strings` must be a string, got "
            f"{type(strings[wrong[0]]).__name__} at rows {wrong[:5]}."
        )
    shortest, longest = ngrams
    if dim < 1 or not 1 <= shortest <= longest:
        raise ValueError(
            "hashed_ngrams: `dim` must be at least 1 and `ngrams` (shortest, longest) with "
            f"1 <= shortest <= longest, got dim={dim} and ngrams={ngrams}."
        )
    _checks.check_choice("hashed_ngrams", "analyzer", analyzer, ("char", "word"))
    split = _char_ngrams if analyzer == "char" else _word_ngrams

    known: dict[str, int] = {}
    rows, columns = [], []
    for row, string in enumerate(strings):
        for gram in split(string.lower().split(), shortest, longest):
            if gram not in known:
                digest = hashlib.blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=8)
                known[gram] = int.from_bytes(digest.digest(), "little") % dim
            rows.append(row)
            columns.append(known[gram])
    counts = np.zeros((len(strings), dim), np.float32)
    np.add.at(counts, (np.asarray(rows, int), np.asarray(columns, int)), 1)
    return counts


def _char_ngrams(words: list[str], shortest: int, longest: int) -> Iterator[str]:
    for word in words:
        padded = f" {word} "
        for n in range(shortest, longest + 1):
            yield from (padded[i : i + n] for i in range(max(len(padded) - n, 0) + 1))
            if n >= len(padded):
                break  # longer n would count the whole word again


def _word_ngrams(words: list[str], shortest: int, longest: int) -> Iterator[str]:
    for n in range(shortest, longest + 1):
        yield from (" ".join(words[i : i + n]) for i in range(len(words) - n + 1))


class Tfidf(NamedTuple):
    """Statistics of `fit_tfidf`.

    Attributes:
      idf: Weight of each column, at least 1, shape [d].
    """

    idf: Float[Array, "d"]


def fit_tfidf(counts: Float[ArrayLike, "n d"], where: Bool[ArrayLike, "n"] | None = None) -> Tfidf:
    """Inverse document frequency of every column, smoothed.

    idf = ln((1 + n)/(1 + df)) + 1 with df the number of kept rows in which the column is
    positive, out of n kept rows: as if one more row held every term.

    Args:
      counts: Counts of terms, shape [n, d].
      where: Rows to keep, shape [n].

    Returns:
      `Tfidf(idf)` with `idf` of shape [d].

    Raises:
      ValueError: If `counts` is not [n, d] or `where` is not [n].

    Examples:
      >>> import jax.numpy as jnp
      >>> print(fit_tfidf(jnp.array([[1.0, 0.0], [3.0, 2.0]])).idf)
      [1.        1.4054651]
    """
    counts = jnp.asarray(counts)
    if counts.ndim != 2:
        raise ValueError(f"fit_tfidf: `counts` must be [n, d], got counts.shape={counts.shape}.")
    keep = _checks.check_where("fit_tfidf", where, counts.shape[:1])
    dtype = jnp.promote_types(counts.dtype, jnp.float32)
    rows = jnp.sum(keep, dtype=dtype)
    frequency = jnp.sum((counts > 0) & keep[:, None], axis=0, dtype=dtype)
    return Tfidf(idf=jnp.log((1 + rows) / (1 + frequency)) + 1)


def tfidf(
    params: Tfidf, counts: Float[ArrayLike, "*batch d"], *, sublinear: bool = False
) -> Float[Array, "*batch d"]:
    """Weighs counts by inverse document frequency and scales each row to unit length.

    Row i is idf ∘ tfᵢ / ‖idf ∘ tfᵢ‖, where tf is the count, or 1 + ln(count) of a positive
    count if `sublinear`.

    Args:
      params: What `fit_tfidf` returned.
      counts: Counts of terms, shape [*batch, d].
      sublinear: Dampen repeated terms.

    Returns:
      Unit rows, shape [*batch, d], at least float32; a row without terms stays 0.

    Raises:
      ValueError: If the last axis of `counts` is not the d that was fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> counts = jnp.array([[4.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
      >>> print(tfidf(fit_tfidf(counts), counts))
      [[1. 0.]
       [1. 0.]
       [0. 0.]]
    """
    counts = jnp.asarray(counts)
    if counts.shape[-1:] != params.idf.shape:
        raise ValueError(
            f"tfidf: `counts` must be [*batch, {params.idf.shape[0]}] as fitted, got "
            f"counts.shape={counts.shape}."
        )
    counts = counts.astype(jnp.promote_types(counts.dtype, params.idf.dtype))
    if sublinear:
        positive = counts > 0
        counts = jnp.where(positive, 1 + jnp.log(jnp.where(positive, counts, 1)), 0)
    return numerics.normalize(counts * params.idf.astype(counts.dtype))
