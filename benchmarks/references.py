"""What every case must return, in NumPy float64, gradients by hand.

Each reference of a differentiable operation takes the cotangent of the output first, like
`with_gradient`, and returns (output, cotangents of the arguments).
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def forward(reference: Callable[..., Any]) -> Callable[..., Any]:
    """The output alone, of a reference that returns gradients too."""
    return lambda *args, **kwargs: reference(0.0, *args, **kwargs)[0]


def weighted_sum(cotangent, xs, weights, present):
    """Reference of `fusion.weighted_sum`."""
    xs = _masked(xs, present)
    shares = _softmax(np.where(present, weights.logits, -np.inf), present)
    mapped = [x @ kernel for x, kernel in zip(xs, weights.kernels, strict=True)]
    output = sum(shares[:, [m]] * f for m, f in enumerate(mapped))
    cotangent = np.broadcast_to(cotangent, output.shape)
    scaled = [shares[:, [m]] * cotangent for m in range(len(xs))]
    d_shares = np.stack([(cotangent * f).sum(1) for f in mapped], axis=1)
    d_logits = _softmax_pullback(shares, d_shares).sum(0)
    d_kernels = tuple(x.T @ c for x, c in zip(xs, scaled, strict=True))
    d_xs = tuple(c @ kernel.T for c, kernel in zip(scaled, weights.kernels, strict=True))
    return output, (d_xs, type(weights)(kernels=d_kernels, logits=d_logits))


def clip_loss(cotangent, x, y, scale):
    """Reference of `losses.clip_loss`."""
    scores = x @ y.T
    logits = scale * scores
    rows, columns = _softmax(logits), _softmax(logits.T).T
    loss = (_log_sum(logits) + _log_sum(logits.T)) / 2 - np.diag(logits)
    cotangent = np.broadcast_to(cotangent, loss.shape)
    d_logits = (cotangent[:, None] * rows + cotangent * columns) / 2 - np.diag(cotangent)
    return loss, (scale * (d_logits @ y), scale * (d_logits.T @ x), np.sum(d_logits * scores))


def siglip_loss(cotangent, x, y, scale):
    """Reference of `losses.siglip_loss` with its default bias."""
    scores = x @ y.T
    logits, own = scale * scores - 10, np.eye(len(x))
    softplus = np.logaddexp(0, logits)
    loss = softplus.sum(1) - np.diag(logits)
    cotangent = np.broadcast_to(cotangent, loss.shape)[:, None]
    d_logits = cotangent * (np.exp(logits - softplus) - own)
    return loss, (scale * (d_logits @ y), scale * (d_logits.T @ x), np.sum(d_logits * scores))


def softmax_cross_entropy(cotangent, logits, labels):
    """Reference of `losses.softmax_cross_entropy`."""
    is_label = labels[:, None] == np.arange(logits.shape[1])
    loss = _log_sum(logits) - logits[is_label]
    cotangent = np.broadcast_to(cotangent, loss.shape)
    return loss, (cotangent[:, None] * (_softmax(logits) - is_label),)


def rank_counts(queries, gallery):
    """Reference of `kernels.rank_counts`, for positives on the diagonal."""
    from crossmodal_jax.kernels import RankCounts

    scores = queries @ gallery.T
    best = np.diag(scores)[:, None]
    tied = (scores == best).sum(1) - 1
    return RankCounts(above=(scores > best).sum(1), tied=tied, positives=np.ones(len(queries)))


def sinkhorn(x, y, *, epsilon, iterations):
    """Potentials of `kernels.sinkhorn` between clouds of equal weights, after some iterations."""
    logits = (2 * x @ y.T - (x * x).sum(1)[:, None] - (y * y).sum(1)) / epsilon
    g = np.zeros(len(y))
    for _ in range(iterations):
        f = np.log(len(y)) - _log_sum(logits + g)
        g = np.log(len(x)) - _log_sum((logits + f[:, None]).T)
    shift = (g.mean() - f.mean()) / 2
    return epsilon * (f + shift), epsilon * (g - shift)


def ridge_apply(cotangent, x, params):
    """Reference of `transforms.ridge(...).apply`."""
    output = (x - params.mean) @ params.kernel + params.offset
    return output, (np.broadcast_to(cotangent, output.shape) @ params.kernel.T,)


def ridge_fit(l2):
    """Reference of a ridge fit and its predictions for some rows."""

    def predict(x, y, rows):
        x_mean, y_mean = x.mean(0), y.mean(0)
        x, y = x - x_mean, y - y_mean
        kernel = np.linalg.solve(_regularised(x.T @ x / len(x), l2), x.T @ y / len(x))
        return (rows - x_mean) @ kernel + y_mean

    return predict


def cca_fit(l2, dim):
    """Reference of a CCA fit and its predictions for some rows."""

    def predict(x, y, rows):
        x_mean, y_mean = x.mean(0), y.mean(0)
        x, y = x - x_mean, y - y_mean
        s_xy = x.T @ y / len(x)
        white_x = np.linalg.inv(np.linalg.cholesky(_regularised(x.T @ x / len(x), l2)))
        white_y = np.linalg.inv(np.linalg.cholesky(_regularised(y.T @ y / len(x), l2)))
        u, _, _ = np.linalg.svd(white_x @ s_xy @ white_y.T)
        w_x = white_x.T @ u[:, :dim]
        return (rows - x_mean) @ w_x @ (s_xy.T @ w_x).T + y_mean

    return predict


def pca_fit(dim):
    """Reference of a PCA fit and the projection of some rows on its subspace."""

    def project(x, rows):
        x_mean = x.mean(0)
        x = x - x_mean
        components = np.linalg.eigh(x.T @ x)[1][:, -dim:]
        return (rows - x_mean) @ components @ components.T + x_mean

    return project


def _masked(xs, present):
    return [np.where(present[:, [m]], x, 0) for m, x in enumerate(xs)]


def _softmax(logits, where=True):
    """Softmax over axis 1, 0 for rows of which nothing is kept."""
    largest = np.max(logits, axis=1, keepdims=True)
    e = np.exp(logits - np.where(np.isfinite(largest), largest, 0)) * where
    return e / np.maximum(e.sum(1, keepdims=True), np.finfo(float).tiny)


def _softmax_pullback(probabilities, cotangent):
    inner = (probabilities * cotangent).sum(1, keepdims=True)
    return probabilities * (cotangent - inner)


def _log_sum(logits):
    largest = logits.max(1)
    return largest + np.log(np.exp(logits - largest[:, None]).sum(1))


def _regularised(s, l2):
    return s + l2 * np.trace(s) / len(s) * np.eye(len(s))
