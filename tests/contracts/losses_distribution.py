"""Losses of two sets of rows without pairs, and of dependence: definitions in NumPy, and lines.

Here both sets have the same rows; those with rows of their own are in `tests/losses`.
"""

import functools

import numpy as np
from row_member import RowMember

from crossmodal_jax import losses


def squared_distances(x, y):
    return np.sum((x[:, None] - y[None]) ** 2, axis=-1)


def mmd_loss(x, y, bandwidths):
    def mean(u, v):
        return np.mean(sum(np.exp(-squared_distances(u, v) / (2 * s**2)) for s in bandwidths))

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


def hsic_loss(x, y, bandwidth_x, bandwidth_y):
    n = len(x)
    k = np.exp(-squared_distances(x, x) / (2 * bandwidth_x**2))
    l = np.exp(-squared_distances(y, y) / (2 * bandwidth_y**2))
    h = np.eye(n) - 1 / n
    return np.trace(k @ h @ l @ h) / max(n - 1, 1) ** 2


def coral_loss(x, y):
    covariances = [(z - z.mean(0)).T @ (z - z.mean(0)) / max(len(z) - 1, 1) for z in (x, y)]
    return np.sum((covariances[0] - covariances[1]) ** 2) / (4 * x.shape[1] ** 2)


def cmd_loss(x, y, num_moments=5, bounds=(0.0, 1.0)):
    def moment(z, k):
        return z.mean(0) if k == 1 else ((z - z.mean(0)) ** k).mean(0)

    return sum(
        np.linalg.norm(moment(x, k) - moment(y, k)) / (bounds[1] - bounds[0]) ** k
        for k in range(1, num_moments + 1)
    )


def sinkhorn_divergence(x, y, epsilon, iterations=200):
    def cost(x, y):
        c = squared_distances(x, y)
        k, u, v = np.exp(-c / epsilon), np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
        for _ in range(iterations):
            u = 1 / len(x) / (k @ v)
            v = 1 / len(y) / (u @ k)
        p = u[:, None] * k * v
        return np.sum(p * c) + epsilon * np.sum(p * np.log(p * len(x) * len(y)))

    return cost(x, y) - cost(x, x) / 2 - cost(y, y) / 2


def _sets(rng, n):
    x, y = rng.normal(size=(2, n, 3))
    return x, 0.7 * y + 0.3


def _two_widths(rng, n):
    x = rng.normal(size=(n, 3))
    return x, x[:, :2] ** 2 + rng.normal(size=(n, 2))


def _unpaired(loss):
    """The same mask for both sets, whose rows are counted by the first."""

    def function(x, y, *, where=None, **options):
        where = np.ones(len(x), bool) if where is None else where
        return loss(x, y, where=where, where_y=where, **options)

    return function


def _line(loss, oracle, arguments, *, only=None, **options):
    return RowMember(
        functools.partial(loss, **options, **(only or {})),
        arguments,
        functools.partial(oracle, **options),
        differentiable=True,
    )


# Both are iterated to the end: the oracle sums over the plan, which is exact only there.
_TO_THE_END = {"max_iterations": 200, "tolerance": 0.0}

LOSSES = {
    "mmd_loss": _line(_unpaired(losses.mmd_loss), mmd_loss, _sets, bandwidths=(0.5, 2.0)),
    "hsic_loss": _line(losses.hsic_loss, hsic_loss, _two_widths, bandwidth_x=1.0, bandwidth_y=2.0),
    "coral_loss": _line(_unpaired(losses.coral_loss), coral_loss, _sets),
    "cmd_loss": _line(_unpaired(losses.cmd_loss), cmd_loss, _sets, bounds=(-1.0, 1.0)),
    "sinkhorn_divergence": _line(
        _unpaired(losses.sinkhorn_divergence),
        sinkhorn_divergence,
        _sets,
        only=_TO_THE_END,
        epsilon=3.0,
    ),
}

# An identity of any array, without rows or mask; tested in its own room.
EXEMPT_LOSSES = {"gradient_reversal"}
