"""Every metric once more: its formula in NumPy float64, written without the library.

Metrics, as losses, are defined on the kept rows only. What is dropped cannot be looked at here, so
agreement with these functions under a mask is agreement with deletion.
"""

import numpy as np

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
