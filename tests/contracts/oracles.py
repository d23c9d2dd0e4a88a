"""Every member once more: its formula in NumPy float64, written without the library.

Losses and metrics are defined on the kept rows only. What is dropped cannot be looked at here, so
agreement with these functions under a mask is agreement with deletion.
"""

import numpy as np
from scipy.special import logsumexp

# Losses: one value per row.


def clip_loss(x, y, scale=1.0):
    z = scale * x @ y.T
    return (logsumexp(z, axis=1) + logsumexp(z, axis=0)) / 2 - np.diag(z)


def siglip_loss(x, y, scale=10.0, bias=-10.0):
    z = scale * x @ y.T + bias
    signs = 2 * np.eye(len(x)) - 1
    return np.logaddexp(0, -signs * z).sum(axis=1)


def softmax_cross_entropy(logits, labels):
    return logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]


def cca_loss(x, y, l2, power):
    def whitened(z):
        z = z - z.mean(0)
        s = z.T @ z / len(z)
        penalty = l2 * np.trace(s) / len(s) if np.trace(s) > 0 else 1.0
        values, vectors = np.linalg.eigh(s + penalty * np.eye(len(s)))
        return z @ (vectors / np.sqrt(values)) @ vectors.T

    values = np.linalg.svd(whitened(x).T @ whitened(y) / len(x), compute_uv=False)
    return -np.sum(values**power)


# Metrics of paired retrieval: one value per query. With t rivals tied with the right answer, its
# place among them is uniform on 0 … t.


def _places(queries, gallery):
    scores = queries @ gallery.T
    right = np.diag(scores)[:, None]
    above = (scores > right).sum(axis=1)
    tied = (scores == right).sum(axis=1) - 1
    return [a + 1 + np.arange(t + 1) for a, t in zip(above, tied, strict=True)]


def expected_rank(queries, gallery):
    return [ranks.mean() for ranks in _places(queries, gallery)]


def recall_at_k(queries, gallery, k):
    return [(ranks <= k).mean() for ranks in _places(queries, gallery)]


def reciprocal_rank(queries, gallery):
    return [(1 / ranks).mean() for ranks in _places(queries, gallery)]


# Metrics of predictions.


def hits(scores, labels):
    best = scores == scores.max(axis=1, keepdims=True)
    return best[np.arange(len(labels)), labels] / best.sum(axis=1)


def accuracy(scores, labels):
    return hits(scores, labels).mean()


def macro_recall(scores, labels):
    right = hits(scores, labels)
    return np.mean([right[labels == c].mean() for c in np.unique(labels)])


def r2_score(predictions, targets):
    residual = ((targets - predictions) ** 2).sum(axis=0)
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    constant = (residual == 0).astype(float)
    return np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), constant).mean()
