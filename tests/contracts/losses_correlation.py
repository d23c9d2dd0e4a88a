"""Losses of correlation: definitions in NumPy, and their lines."""

import functools

import numpy as np
from row_member import RowMember

from crossmodal_jax import losses


def cca_loss(x, y, l2, power):
    def whitened(z):
        z = z - z.mean(0)
        s = z.T @ z / len(z)
        penalty = l2 * np.trace(s) / len(s) if np.trace(s) > 0 else 1.0
        values, vectors = np.linalg.eigh(s + penalty * np.eye(len(s)))
        return z @ (vectors / np.sqrt(values)) @ vectors.T

    values = np.linalg.svd(whitened(x).T @ whitened(y) / len(x), compute_uv=False)
    return -np.sum(values**power)


def _correlated(widths):
    def arguments(rng, n):
        latent = rng.normal(size=(n, 2))
        return tuple(latent @ rng.normal(size=(2, d)) + rng.normal(size=(n, d)) for d in widths)

    return arguments


def _cca_loss(widths, objective, power):
    # The penalty is what separates 4 columns of 4 kept rows from singular ones.
    return RowMember(
        functools.partial(losses.cca_loss, l2=0.3, objective=objective),
        _correlated(widths),
        functools.partial(cca_loss, l2=0.3, power=power),
        differentiable=True,
    )


LOSSES = {
    "cca_loss": _cca_loss((4, 3), "squared", 2),
    "cca_loss/fewer rows": _cca_loss((8, 3), "squared", 2),
    "cca_loss/sum": _cca_loss((4, 3), "sum", 1),
}
