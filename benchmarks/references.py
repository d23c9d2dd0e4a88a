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


def mean(cotangent, xs, weights, present):
    """Reference of `fusion.mean`."""
    shares = present / np.maximum(present.sum(1, keepdims=True), 1)
    output = sum(shares[:, [m]] * x for m, x in enumerate(xs))
    return output, (tuple(shares[:, [m]] * cotangent for m in range(len(xs))), weights)


def concat(cotangent, xs, weights, present):
    """Reference of `fusion.concat`."""
    joint = np.concatenate([*_masked(xs, present), present], axis=1)
    cotangent = np.broadcast_to(cotangent, joint.shape)
    return joint, (_split(cotangent, xs, present), weights)


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


def gated(cotangent, xs, weights, present):
    """Reference of `fusion.gated`."""
    xs = _masked(xs, present)
    joint = np.concatenate([*xs, present], axis=1)
    gate_kernel = weights.gate_kernel.reshape(joint.shape[1], -1)
    logits = (joint @ gate_kernel).reshape(len(joint), *weights.gate_bias.shape) + weights.gate_bias
    keep = present[..., None]
    gates = _softmax(np.where(keep, logits, -np.inf), keep)
    mapped = [x @ kernel for x, kernel in zip(xs, weights.kernels, strict=True)]
    hidden = np.tanh(np.stack(mapped, axis=1) + weights.biases)
    output = (gates * hidden).sum(1)

    cotangent = np.broadcast_to(cotangent, output.shape)[:, None]
    d_mapped = gates * cotangent * (1 - hidden**2)
    d_logits = _softmax_pullback(gates, hidden * cotangent)
    flat = d_logits.reshape(len(joint), -1)
    from_gates = _split(flat @ gate_kernel.T, xs, present)
    d_xs = tuple(
        present[:, [m]] * (d_mapped[:, m] @ kernel.T) + from_gates[m]
        for m, kernel in enumerate(weights.kernels)
    )
    d_weights = type(weights)(
        kernels=tuple(x.T @ d_mapped[:, m] for m, x in enumerate(xs)),
        biases=d_mapped.sum(0),
        gate_kernel=(joint.T @ flat).reshape(weights.gate_kernel.shape),
        gate_bias=d_logits.sum(0),
    )
    return output, (d_xs, d_weights)


FUSION = {"mean": mean, "concat": concat, "weighted_sum": weighted_sum, "gated": gated}


def clip_loss(cotangent, x, y, *, logit_scale):
    """Reference of `losses.clip_loss`."""
    logits = logit_scale * (x @ y.T)
    rows, columns = _softmax(logits), _softmax(logits.T).T
    loss = (_log_sum(logits) + _log_sum(logits.T)) / 2 - np.diag(logits)
    cotangent = np.broadcast_to(cotangent, loss.shape)
    d_logits = (cotangent[:, None] * rows + cotangent * columns) / 2 - np.diag(cotangent)
    return loss, (logit_scale * (d_logits @ y), logit_scale * (d_logits.T @ x))


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


def _split(joint, xs, present):
    """The columns of every modality in a concatenation, 0 where it is absent."""
    ends = np.cumsum([x.shape[1] for x in xs])
    parts = np.split(joint, ends, axis=1)[: len(xs)]
    return tuple(_masked(parts, present))


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
