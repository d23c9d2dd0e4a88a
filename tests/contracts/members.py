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


def _families(kind):
    """One file for each family, each with its oracles and its lines."""
    paths = sorted(Path(__file__).parent.glob(f"{kind}_*.py"))
    return [importlib.import_module(path.stem) for path in paths]


def _members(kind):
    return {k: v for family in _families(kind) for k, v in getattr(family, kind.upper()).items()}


OPERATORS, LOSSES = _members("operators"), _members("losses")
# No functions of rows under a mask; a family that has such names says why.
EXEMPT_LOSSES = {n for f in _families("losses") for n in getattr(f, "EXEMPT_LOSSES", {})}


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
