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
    "siglip_loss": RowMember(losses.siglip_loss, unit_pairs, siglip_loss, differentiable=True),
}
