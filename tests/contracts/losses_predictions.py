"""Losses of predictions: definitions in NumPy, and their lines."""

import numpy as np
from row_member import RowMember, scores_and_labels
from scipy.special import logsumexp

from crossmodal_jax import losses


def softmax_cross_entropy(logits, labels):
    return logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]


LOSSES = {
    "softmax_cross_entropy": RowMember(
        losses.softmax_cross_entropy,
        scores_and_labels,
        softmax_cross_entropy,
        differentiable=True,
    ),
}
