"""Who has to keep the contract. A new member joins with one line.

Operators are found by walking `fusion.OPERATORS`; the line in an `operators_*.py` beside this file
adds the oracle. Losses and metrics are found among the public functions of their rooms. A test
fails for one that has no line.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import oracles

from crossmodal_jax import kernels, losses, metrics


@dataclasses.dataclass(frozen=True)
class RowMember:
    """A loss or metric over rows.

    Attributes:
      function: `(*arrays, where=...)` to one value per row, or to a scalar.
      arguments: `(rng, n)` to the arrays in NumPy: floats are cast to each dtype, integers kept.
      oracle: NumPy definition on the kept rows.
      differentiable: Whether gradients are part of the contract.
    """

    function: Callable[..., Any]
    arguments: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]]
    oracle: Callable[..., Any]
    differentiable: bool = False


# One file for each family, each with its oracles and its lines.
OPERATORS = {
    name: member
    for path in sorted(Path(__file__).parent.glob("operators_*.py"))
    for name, member in importlib.import_module(path.stem).OPERATORS.items()
}


def _unit_pairs(rng, n):
    x, y = rng.normal(size=(2, n, 4))
    return tuple(z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))


def _tied_pairs(rng, n):
    # Small whole numbers, exact in every dtype, so that equal scores are equal in all of them.
    return tuple(rng.integers(-2, 3, size=(2, n, 3)).astype(np.float64))


def _correlated(widths):
    def arguments(rng, n):
        latent = rng.normal(size=(n, 2))
        return tuple(latent @ rng.normal(size=(2, d)) + rng.normal(size=(n, d)) for d in widths)

    return arguments


def _scores_and_labels(rng, n):
    return rng.normal(size=(n, 5)), rng.integers(0, 5, size=n, dtype=np.int32)


def _predictions(rng, n):
    targets = rng.normal(size=(n, 3))
    return targets + 0.5 * rng.normal(size=(n, 3)), targets


def _at_scale(scale):
    return RowMember(
        functools.partial(losses.clip_loss, logit_scale=scale),
        _unit_pairs,
        functools.partial(oracles.clip_loss, scale=scale),
        differentiable=True,
    )


def _cca_loss(widths, objective, power):
    # The penalty is what separates 4 columns of 4 kept rows from singular ones.
    return RowMember(
        functools.partial(losses.cca_loss, l2=0.3, objective=objective),
        _correlated(widths),
        functools.partial(oracles.cca_loss, l2=0.3, power=power),
        differentiable=True,
    )


LOSSES = {
    "cca_loss": _cca_loss((4, 3), "squared", 2),
    "cca_loss/fewer rows": _cca_loss((8, 3), "squared", 2),
    "cca_loss/sum": _cca_loss((4, 3), "sum", 1),
    "clip_loss/scale=1": _at_scale(1.0),
    "clip_loss/scale=30": _at_scale(30.0),
    "siglip_loss": RowMember(
        losses.siglip_loss, _unit_pairs, oracles.siglip_loss, differentiable=True
    ),
    "softmax_cross_entropy": RowMember(
        losses.softmax_cross_entropy,
        _scores_and_labels,
        oracles.softmax_cross_entropy,
        differentiable=True,
    ),
}


def _retrieval(metric):
    """The metric of paired rows: a dropped pair is neither query nor in the gallery."""

    def function(queries, gallery, *, where=None):
        return metric(kernels.rank_counts(queries, gallery, where=where), where=where)

    return function


_recall_at_2 = functools.partial(metrics.recall_at_k, k=2)
_recall_at_2_oracle = functools.partial(oracles.recall_at_k, k=2)
_macro_recall = functools.partial(metrics.macro_recall, num_classes=5)

METRICS = {
    "expected_rank": RowMember(
        _retrieval(metrics.expected_rank), _tied_pairs, oracles.expected_rank
    ),
    "recall_at_k/k=2": RowMember(_retrieval(_recall_at_2), _tied_pairs, _recall_at_2_oracle),
    "reciprocal_rank": RowMember(
        _retrieval(metrics.reciprocal_rank), _tied_pairs, oracles.reciprocal_rank
    ),
    "hits": RowMember(metrics.hits, _scores_and_labels, oracles.hits),
    "accuracy": RowMember(metrics.accuracy, _scores_and_labels, oracles.accuracy),
    "macro_recall": RowMember(_macro_recall, _scores_and_labels, oracles.macro_recall),
    "r2_score": RowMember(metrics.r2_score, _predictions, oracles.r2_score, differentiable=True),
}

# Not a function of rows under a mask; tested in its own room.
EXEMPT = {"bootstrap_interval"}
