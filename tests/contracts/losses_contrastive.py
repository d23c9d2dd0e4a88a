"""Softmax and sigmoid losses between two sets: definitions in NumPy, and their lines."""

import functools

import numpy as np
from row_member import RowMember, unit_pairs
from scipy.special import logsumexp

from crossmodal_jax import losses


def clip_loss(x, y, scale=1.0):
    z = scale * x @ y.T
    return (logsumexp(z, axis=1) + logsumexp(z, axis=0)) / 2 - np.diag(z)


def siglip_loss(x, y, scale=10.0, bias=-10.0):
    z = scale * x @ y.T + bias
    signs = 2 * np.eye(len(x)) - 1
    return np.logaddexp(0, -signs * z).sum(axis=1)


def supcon_loss(x, labels, scale=10.0):
    z = scale * x @ x.T
    loss = np.zeros(len(x))
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        positives = others & (labels == labels[i])
        if positives.any():
            loss[i] = logsumexp(z[i][others]) - z[i][positives].mean()
    return loss


def supcon_loss_of_two(x, y, labels, scale=10.0):
    z, loss = scale * x @ y.T, np.zeros(len(x))
    for i in range(len(x)):
        positives = labels == labels[i]
        loss[i] = (logsumexp(z[i]) - z[i][positives].mean()) / 2
        loss[i] += (logsumexp(z[:, i]) - z[positives, i].mean()) / 2
    return loss


def ntxent_loss(x, y, scale=10.0):
    views, num, loss = np.concatenate([x, y]), len(x), np.zeros(len(x))
    for i in range(2 * num):
        others = np.arange(2 * num) != i
        match = scale * x[i % num] @ y[i % num]
        loss[i % num] += (logsumexp((scale * views @ views[i])[others]) - match) / 2
    return loss


def hard_negative_loss(x, y, scale=5.0, beta=0.25, alpha=0.7):
    num, total = len(x), np.zeros(len(x))
    for z in (scale * x @ y.T, scale * y @ x.T):
        for i in range(num):
            others = z[i][np.arange(num) != i]
            weights = np.exp(beta * others)
            weights *= len(others) / max(weights.sum(), 1e-300)
            denominator = alpha * np.exp(z[i, i]) + np.sum(weights * np.exp(others))
            total[i] += np.log(denominator / np.exp(z[i, i])) / 2
    return total


def _rows_and_labels(rng, n):
    return (*unit_pairs(rng, n)[:1], rng.integers(0, 3, size=n, dtype=np.int32))


def _pairs_and_labels(rng, n):
    return (*unit_pairs(rng, n), rng.integers(0, 3, size=n, dtype=np.int32))


def _at_scale(scale):
    return RowMember(
        functools.partial(losses.clip_loss, logit_scale=scale),
        unit_pairs,
        functools.partial(clip_loss, scale=scale),
        differentiable=True,
    )


LOSSES = {
    "clip_loss/scale=1": _at_scale(1.0),
    "clip_loss/scale=30": _at_scale(30.0),
    "hard_negative_loss": RowMember(
        functools.partial(
            losses.hard_negative_loss, logit_scale=5.0, hardness=0.25, positive_weight=0.7
        ),
        unit_pairs,
        hard_negative_loss,
        differentiable=True,
    ),
    "ntxent_loss": RowMember(losses.ntxent_loss, unit_pairs, ntxent_loss, differentiable=True),
    "supcon_loss": RowMember(
        lambda x, labels, *, where=None: losses.supcon_loss(x, labels=labels, where=where),
        _rows_and_labels,
        supcon_loss,
        differentiable=True,
    ),
    "supcon_loss/two sets": RowMember(
        lambda x, y, labels, *, where=None: losses.supcon_loss(x, y, labels=labels, where=where),
        _pairs_and_labels,
        supcon_loss_of_two,
        differentiable=True,
    ),
    "siglip_loss": RowMember(losses.siglip_loss, unit_pairs, siglip_loss, differentiable=True),
}
