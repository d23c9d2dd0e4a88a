"""The Eckart–Young loss: its definition in NumPy, and its line."""

import numpy as np
from row_member import RowMember

from crossmodal_jax import losses


def eigengame_loss(*xs):
    def covariance(x, y):
        return (x - x.mean(0)).T @ (y - y.mean(0)) / max(len(x) - 1, 1)

    c = sum(covariance(x, y) for x in xs for y in xs) / len(xs)
    v = sum(covariance(x, x) for x in xs) / len(xs)
    return -2 * np.trace(c) + np.trace(v @ v)


def _views(rng, n):
    latent = rng.normal(size=(n, 2))
    return tuple(latent @ rng.normal(size=(2, 3)) + 0.5 * rng.normal(size=(n, 3)) for _ in range(3))


LOSSES = {
    "eigengame_loss": RowMember(
        lambda *xs, where=None: losses.eigengame_loss(xs, where=where),
        _views,
        eigengame_loss,
        differentiable=True,
    )
}
