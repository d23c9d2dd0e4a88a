"""Sums, concatenation and gates: NumPy definitions of one sample, and their lines."""

import numpy as np
from operator_member import WIDTHS, OperatorMember
from scipy.special import softmax


def mean(xs, weights, present):
    return np.mean([xs[m] for m in present], axis=0) if present else np.zeros_like(xs[0])


def product(xs, weights, present):
    return np.prod([xs[m] for m in present], axis=0) if present else np.zeros_like(xs[0])


def concat(xs, weights, present):
    parts = [x if m in present else np.zeros_like(x) for m, x in enumerate(xs)]
    return np.concatenate([*parts, [float(m in present) for m in range(len(xs))]])


def weighted_sum(xs, weights, present):
    shares = np.exp(weights.logits)[present]
    total = np.zeros(weights.kernels[0].shape[1])
    for share, m in zip(shares, present, strict=True):
        total += share / shares.sum() * xs[m] @ weights.kernels[m]
    return total


def gated(xs, weights, present):
    if not present:
        return np.zeros(weights.biases.shape[1])
    hidden = [np.tanh(xs[m] @ weights.kernels[m] + weights.biases[m]) for m in present]
    logits = np.einsum("j,jmd->md", concat(xs, (), present), weights.gate_kernel)
    gates = softmax((logits + weights.gate_bias)[present], axis=0)
    return (gates * hidden).sum(axis=0)


def _reorder_kernels(weights, order):
    kernels = tuple(weights.kernels[m] for m in order)
    return weights._replace(kernels=kernels, logits=weights.logits[np.array(order)])


def _reorder_gates(weights, order):
    starts = np.cumsum([0, *(kernel.shape[0] for kernel in weights.kernels)])
    rows = [np.arange(starts[m], starts[m + 1]) for m in order]
    rows = np.concatenate([*rows, starts[-1] + np.array(order)])
    order = np.array(order)
    return weights._replace(
        kernels=tuple(weights.kernels[m] for m in order),
        biases=weights.biases[order],
        gate_kernel=weights.gate_kernel[rows][:, order],
        gate_bias=weights.gate_bias[order],
    )


OPERATORS = {
    "mean": OperatorMember(mean, lambda weights, order: weights, dims=(4, 4, 4)),
    "product": OperatorMember(
        product, lambda weights, order: weights, dims=(4, 4, 4), widths=(((64,) * 3, 64),)
    ),
    "concat": OperatorMember(concat),
    "weighted_sum": OperatorMember(
        weighted_sum,
        _reorder_kernels,
        num_weights=lambda dims, dim: sum(dims) * dim + len(dims),
        widths=WIDTHS,
    ),
    "gated": OperatorMember(
        gated,
        _reorder_gates,
        num_weights=lambda dims, dim: (sum(dims) + len(dims) * (sum(dims) + len(dims) + 2)) * dim,
        widths=WIDTHS,
    ),
}
