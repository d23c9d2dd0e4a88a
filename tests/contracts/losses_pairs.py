"""Losses of pairs, triplets, labels and many modalities: definitions in NumPy, and their lines."""

import functools
import itertools

import numpy as np
from losses_contrastive import clip_loss
from row_member import RowMember, unit_pairs
from scipy.special import logsumexp, softmax

from crossmodal_jax import losses


def hinge_loss(x, y, margin=0.2, hardest=False):
    s = x @ y.T
    loss = np.zeros(len(x))
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        for negatives in (s[i, others], s[others, i]):
            hinges = [max(margin - s[i, i] + n, 0) for n in negatives]
            loss[i] += (max(hinges, default=0) if hardest else sum(hinges)) if others else 0
    return loss


def triplet_loss(anchor, positive, negative, margin=1.0, p=2):
    distance = lambda z: np.linalg.norm(anchor - z, ord=p, axis=1)
    return np.maximum(distance(positive) - distance(negative) + margin, 0)


def _by_anchor(x, y, labels):
    """Scores of the positives and of the negatives of each anchor; y None: of other rows of x."""
    labels = np.arange(len(x)) if labels is None else labels
    s = x @ (x if y is None else y).T
    for i in range(len(x)):
        others = np.array([j != i or y is not None for j in range(len(x))])
        same = labels == labels[i]
        yield s[i, same & others], s[i, ~same & others]


def multi_similarity_loss(x, labels=None, y=None, alpha=2.0, beta=50.0, threshold=0.5):
    return np.array(
        [
            logsumexp([0, *(-alpha * (p - threshold))]) / alpha
            + logsumexp([0, *(beta * (n - threshold))]) / beta
            for p, n in _by_anchor(x, y, labels)
        ]
    )


def circle_loss(x, labels=None, y=None, scale=80.0, margin=0.4):
    loss = []
    for positive, negative in _by_anchor(x, y, labels):
        terms = [0.0]
        for p, n in itertools.product(positive, negative):
            of_n = max(n + margin, 0) * (n - margin)
            of_p = max(1 + margin - p, 0) * (p - (1 - margin))
            terms.append(scale * (of_n - of_p))
        loss.append(logsumexp(terms))
    return np.array(loss)


def soft_target_loss(x, y, q_rows, q_columns, scale=1.0):
    """Targets as shares of each row and of each column."""
    z = scale * x @ y.T
    rows, columns = z - logsumexp(z, 1, keepdims=True), z - logsumexp(z, 0, keepdims=True)
    return -((q_rows * rows).sum(1) + (q_columns * columns).sum(0)) / 2


def mixed(p, weight):
    return (1 - weight) * np.eye(len(p)) + weight * p


def distilled_loss(x, y, u, v, scale=1.0, teacher_scale=1.0, weight=1.0):
    z = teacher_scale * u @ v.T
    q = mixed(softmax(z, axis=1), weight), mixed(softmax(z, axis=0), weight)
    return soft_target_loss(x, y, *q, scale)


def pairwise_clip_loss(*xs_and_present):
    *xs, present = xs_and_present
    total, count = np.zeros((2, len(present)))
    for a, b in itertools.combinations(range(len(xs)), 2):
        both = present[:, a] & present[:, b]
        if both.any():
            total[both] += clip_loss(xs[a][both], xs[b][both])
        count += both
    return total / np.maximum(count, 1)


def symile_loss(*xs_and_present, scale=1.0):
    *xs, present = xs_and_present
    loss, full = np.zeros(len(present)), present.all(1)
    xs = [x[full] for x in xs]
    for a, anchor in enumerate(xs):
        others = np.prod([x for b, x in enumerate(xs) if b != a], axis=0)
        z = scale * np.einsum("ik,jk->ij", anchor, others)
        if full.any():
            loss[full] += (logsumexp(z, axis=1) - np.diag(z)) / len(xs)
    return loss


def _labelled(rng, n):
    return unit_pairs(rng, n)[0], rng.integers(0, 3, size=n, dtype=np.int32)


def _triplets(rng, n):
    return tuple(rng.normal(size=(3, n, 4)))


def _with_teacher(rng, n):
    return (*unit_pairs(rng, n), *unit_pairs(rng, n))


def _three_modalities(rng, n):
    return (*unit_pairs(rng, n), unit_pairs(rng, n)[0], rng.random((n, 3)) < 0.8)


def _in_sequence(loss):
    return lambda *arrays, where=None: loss(arrays[:-1], present=arrays[-1], where=where)


_member = functools.partial(RowMember, differentiable=True)
_hardest = functools.partial(losses.hinge_loss, hardest=True)
_pairwise_clip = functools.partial(losses.pairwise_loss, losses.clip_loss)

LOSSES = {
    "hinge_loss": _member(losses.hinge_loss, unit_pairs, hinge_loss),
    "hinge_loss/hardest": _member(
        _hardest, unit_pairs, functools.partial(hinge_loss, hardest=True)
    ),
    "triplet_loss": _member(losses.triplet_loss, _triplets, triplet_loss),
    "multi_similarity_loss": _member(
        lambda x, labels, where=None: losses.multi_similarity_loss(x, labels=labels, where=where),
        _labelled,
        multi_similarity_loss,
    ),
    "circle_loss": _member(
        lambda x, labels, where=None: losses.circle_loss(x, labels=labels, where=where),
        _labelled,
        circle_loss,
        detached=True,
    ),
    "soft_target_loss": _member(
        lambda x, y, u, v, where=None: losses.soft_target_loss(
            x, y, teacher=(u, v), teacher_scale=3.0, weight=0.4, where=where
        ),
        _with_teacher,
        functools.partial(distilled_loss, teacher_scale=3.0, weight=0.4),
    ),
    "pairwise_loss": _member(_in_sequence(_pairwise_clip), _three_modalities, pairwise_clip_loss),
    "symile_loss": _member(_in_sequence(losses.symile_loss), _three_modalities, symile_loss),
}

EXEMPT_LOSSES = {
    "MemoryQueue": "a state",
    "init_memory_queue": "no rows yet",
    "update_memory_queue": "a state of rows in, a state out",
}
