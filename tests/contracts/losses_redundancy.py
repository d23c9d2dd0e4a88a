"""Losses of views without negatives: definitions in NumPy, and their lines."""

import functools

import numpy as np
from row_member import RowMember, unit_pairs
from scipy.special import logsumexp

from crossmodal_jax import losses


def barlow_twins(x, y, weight=5e-3):
    def standard(z):
        z, deviation = z - z.mean(0), z.std(0)
        return np.where(np.ptp(z, axis=0) > 0, z, 0) / np.where(deviation > 0, deviation, 1)

    c = standard(x).T @ standard(y) / len(x)
    on = np.sum((1 - np.diag(c)) ** 2)
    return on + weight * sum(c[k, l] ** 2 for k in range(len(c)) for l in range(len(c)) if k != l)


def vicreg(x, y, weights=(25.0, 25.0, 1.0), gamma=1.0, eps=1e-4):
    parts = [np.mean((x - y) ** 2), 0.0, 0.0]
    for z in (x, y):
        z = z - z.mean(0)
        cov = z.T @ z / max(len(z) - 1, 1)
        parts[1] += np.mean(np.maximum(0, gamma - np.sqrt(np.diag(cov) + eps))) / 2
        parts[2] += (np.sum(cov**2) - np.sum(np.diag(cov) ** 2)) / len(cov)
    return np.dot(weights, parts)


def alignment_loss(x, y, power=2.0):
    return np.linalg.norm(x - y, axis=1) ** power


def uniformity_loss(x, scale=2.0):
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    if not pairs:
        return 0.0
    return logsumexp([-scale * np.sum((x[i] - x[j]) ** 2) for i, j in pairs]) - np.log(len(pairs))


def _of_both(x, y, *, where=None):
    where = np.ones(len(x), bool) if where is None else where
    return sum(losses.uniformity_loss(z, where=where) for z in (x, y))


def _line(loss, oracle, **options):
    return RowMember(
        functools.partial(loss, **options),
        unit_pairs,
        functools.partial(oracle, **options),
        differentiable=True,
    )


LOSSES = {
    "barlow_twins": _line(losses.barlow_twins, barlow_twins),
    "vicreg": _line(losses.vicreg, vicreg),
    "alignment_loss": _line(losses.alignment_loss, alignment_loss),
    "alignment_loss/power=1": _line(losses.alignment_loss, alignment_loss, power=1.0),
    "uniformity_loss": RowMember(
        _of_both,
        unit_pairs,
        lambda x, y: uniformity_loss(x) + uniformity_loss(y),
        differentiable=True,
    ),
}
