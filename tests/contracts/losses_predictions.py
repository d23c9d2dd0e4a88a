"""Losses of predictions: definitions in NumPy, and their lines."""

import numpy as np
from row_member import RowMember, scores_and_labels
from scipy.special import logsumexp

from crossmodal_jax import losses


def softmax_cross_entropy(logits, labels):
    return logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]


# Eighths, exact in every dtype.
_WORDS = np.random.default_rng(1).integers(-16, 17, size=(5, 4)) / 8


def _token_cross_entropy(hidden, labels, *, where=None):
    return losses.token_cross_entropy(hidden, _WORDS.astype(hidden.dtype), labels, where=where)


def token_cross_entropy(hidden, labels):
    return softmax_cross_entropy(hidden @ _WORDS.T, labels)


def _states_and_labels(rng, n):
    return rng.normal(size=(n, 4)), rng.integers(0, 5, size=n, dtype=np.int32)


LOSSES = {
    "token_cross_entropy": RowMember(
        _token_cross_entropy, _states_and_labels, token_cross_entropy, differentiable=True
    ),
    "softmax_cross_entropy": RowMember(
        losses.softmax_cross_entropy,
        scores_and_labels,
        softmax_cross_entropy,
        differentiable=True,
    ),
}
