"""Who has to keep the contract. A new member joins with one line.

Operators are found by walking `fusion.OPERATORS`, losses and metrics among the public functions of
their rooms; the line in an `operators_*.py` or `losses_*.py` beside this file, or below, adds the
oracle. A test fails for one that has no line.
"""

import functools
import importlib
from pathlib import Path

import numpy as np
import oracles
from row_member import RowMember, scores_and_labels

from crossmodal_jax import kernels, metrics


def _members(kind):
    """One file for each family, each with its oracles and its lines."""
    return {
        name: member
        for path in sorted(Path(__file__).parent.glob(f"{kind}_*.py"))
        for name, member in getattr(importlib.import_module(path.stem), kind.upper()).items()
    }


OPERATORS, LOSSES = _members("operators"), _members("losses")
# Not a function of rows under a mask; each is named with its reason in the file of its family.
EXEMPT_LOSSES = {
    name
    for path in Path(__file__).parent.glob("losses_*.py")
    for name in getattr(importlib.import_module(path.stem), "EXEMPT_LOSSES", ())
}


def _tied_pairs(rng, n):
    # Small whole numbers, exact in every dtype, so that equal scores are equal in all of them.
    return tuple(rng.integers(-2, 3, size=(2, n, 3)).astype(np.float64))


def _predictions(rng, n):
    targets = rng.normal(size=(n, 3))
    return targets + 0.5 * rng.normal(size=(n, 3)), targets


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
    "hits": RowMember(metrics.hits, scores_and_labels, oracles.hits),
    "accuracy": RowMember(metrics.accuracy, scores_and_labels, oracles.accuracy),
    "macro_recall": RowMember(_macro_recall, scores_and_labels, oracles.macro_recall),
    "r2_score": RowMember(metrics.r2_score, _predictions, oracles.r2_score, differentiable=True),
}

# Not a function of rows under a mask; tested in its own room.
EXEMPT = {"bootstrap_interval"}
