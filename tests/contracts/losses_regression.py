"""Errors, agreement, evidence and matching: definitions in NumPy and SciPy, and their lines."""

import functools

import numpy as np
from row_member import RowMember
from scipy.special import digamma, gammaln, log_softmax

from crossmodal_jax import losses


def squared_error(predictions, targets):
    return ((predictions - targets) ** 2).mean(axis=1)


def absolute_error(predictions, targets):
    return np.abs(predictions - targets).mean(axis=1)


def huber_loss(predictions, targets, delta):
    e = np.abs(predictions - targets)
    return np.where(e <= delta, e**2 / 2, delta * (e - delta / 2)).mean(axis=1)


def cosine_loss(predictions, targets):
    lengths = np.linalg.norm(predictions, axis=1) * np.linalg.norm(targets, axis=1)
    return 1 - (predictions * targets).sum(axis=1) / lengths


def symmetric_divergence(x, y):
    p, q = log_softmax(x, axis=1), log_softmax(y, axis=1)
    return (np.exp(p) * (p - q) + np.exp(q) * (q - p)).sum(axis=1)


def evidential_loss(evidence, labels, weight):
    loss = []
    for e, y in zip(evidence, labels, strict=True):
        a = e + 1
        b = np.where(np.arange(len(a)) == y, 1, a)
        s, k = b.sum(), len(b)
        kl = gammaln(s) - gammaln(k) - gammaln(b).sum() + (b - 1) @ (digamma(b) - digamma(s))
        loss.append(digamma(a.sum()) - digamma(a[y]) + weight * kl)
    return np.array(loss)


def refinement_loss(refined, x, other_refined, other, present):
    terms = np.stack([cosine_loss(refined, x), cosine_loss(other_refined, other)], axis=1)
    return np.where(present, terms, 0).sum(axis=1)


def matching_loss(logits, matches):
    probability = 1 / (1 + np.exp(-logits))
    return -np.log(np.where(matches, probability, 1 - probability))


def _predictions(rng, n):
    return tuple(2 * rng.normal(size=(2, n, 4)))


def _evidence(rng, n):
    return rng.gamma(0.5, 20, size=(n, 5)), rng.integers(0, 5, size=n, dtype=np.int32)


def _two_modalities(rng, n):
    present = rng.uniform(size=(n, 2)) < 0.6
    return *rng.normal(size=(2, n, 4)), *rng.normal(size=(2, n, 3)), present


def _logits_and_matches(rng, n):
    return 3 * rng.normal(size=n), rng.uniform(size=n) < 0.5


def _refinement_loss(refined, x, other_refined, other, present, *, where=None):
    pairs = [refined, other_refined], [x, other]
    return losses.refinement_loss(*pairs, present=present, where=where)


_line = functools.partial(RowMember, differentiable=True)

LOSSES = {
    "squared_error": _line(losses.squared_error, _predictions, squared_error),
    "absolute_error": _line(losses.absolute_error, _predictions, absolute_error),
    "huber_loss": _line(
        functools.partial(losses.huber_loss, delta=1.5),
        _predictions,
        functools.partial(huber_loss, delta=1.5),
    ),
    "cosine_loss": _line(losses.cosine_loss, _predictions, cosine_loss),
    "symmetric_divergence": _line(losses.symmetric_divergence, _predictions, symmetric_divergence),
    "evidential_loss": _line(
        functools.partial(losses.evidential_loss, divergence_weight=0.6),
        _evidence,
        functools.partial(evidential_loss, weight=0.6),
    ),
    "refinement_loss": _line(_refinement_loss, _two_modalities, refinement_loss),
    "matching_loss": _line(losses.matching_loss, _logits_and_matches, matching_loss),
}

# One draws from a key for each row, one returns indices, and one is of one side and of functions;
# tested in their own files.
EXEMPT_LOSSES = {"functional_entropy_loss", "sample_negatives", "cycle_loss"}
