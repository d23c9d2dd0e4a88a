"""Attention, pooling and modulation: NumPy definitions of one sample, and their lines."""

import numpy as np
from operator_member import WIDTHS, OperatorMember
from scipy.special import expit, softmax


def _joint(xs, present):
    """The masked concatenation [m₁x₁; …; m_M x_M; m]."""
    parts = [x if m in present else np.zeros_like(x) for m, x in enumerate(xs)]
    return np.concatenate([*parts, [float(m in present) for m in range(len(xs))]])


def attention_weighted(xs, weights, present):
    if not present:
        return np.zeros(weights.kernels[0].shape[1])
    logits = weights.attention_kernel.T @ _joint(xs, present) + weights.attention_bias
    shares = softmax(logits[present])
    return sum(a * (weights.kernels[m].T @ xs[m]) for a, m in zip(shares, present, strict=True))


def deep_sets(xs, weights, present, pool=np.mean):
    w = weights
    codes = [np.tanh(xs[m] @ w.kernels[m] + w.bias) @ w.phi_kernel + w.phi_bias for m in present]
    pooled = pool(codes, axis=0) if present else np.zeros(len(w.phi_bias))
    hidden = np.tanh(pooled @ w.rho_in_kernel + w.rho_in_bias)
    return hidden @ w.rho_out_kernel + w.rho_out_bias


def _conditioners(present):
    """Pairs of a modality that is present besides the first, and its place in the weights."""
    return [(m, m - 1) for m in present if m > 0]


def film(xs, weights, present):
    scale, shift = np.ones(weights.kernel.shape[1]), np.zeros(weights.kernel.shape[1])
    for m, place in _conditioners(present):
        told = np.einsum("j,jkd->kd", xs[m], weights.condition_kernels[place])
        told += weights.condition_biases[place]
        scale, shift = scale + told[0], shift + told[1]
    return scale * (xs[0] @ weights.kernel) * (0 in present) + shift


def channel_gate(xs, weights, present):
    gate = np.ones(weights.kernel.shape[1])
    if _conditioners(present):
        told = [
            xs[m] @ weights.squeeze_kernels[place] + weights.squeeze_biases[place]
            for m, place in _conditioners(present)
        ]
        gate = expit(np.maximum(np.sum(told, axis=0), 0) @ weights.excite_kernel)
    return gate * (xs[0] @ weights.kernel) * (0 in present)


def attentional_feature(xs, weights, present):
    if not present:
        return np.zeros(weights.kernels[0].shape[1])
    mapped = np.stack([xs[m] @ weights.kernels[m] for m in present])
    u = mapped.sum(axis=0)
    for down, a, up, b in zip(*weights[1:], strict=True):
        logits = b.copy()
        for branch in range(2):
            hidden = np.maximum(u @ down[:, branch] + a[branch], 0)
            logits += np.einsum("h,hmd->md", hidden, up[branch])
        u = np.sum(softmax(logits[present], axis=0) * mapped, axis=0)
    return u


def _reorder_attention(weights, order):
    starts = np.cumsum([0, *(kernel.shape[0] for kernel in weights.kernels)])
    rows = [np.arange(starts[m], starts[m + 1]) for m in order]
    rows = np.concatenate([*rows, starts[-1] + np.array(order)])
    return weights._replace(
        kernels=tuple(weights.kernels[m] for m in order),
        attention_kernel=weights.attention_kernel[rows][:, np.array(order)],
        attention_bias=weights.attention_bias[np.array(order)],
    )


def _reorder_kernels(weights, order):
    return weights._replace(kernels=tuple(weights.kernels[m] for m in order))


def _reorder_branches(weights, order):
    return _reorder_kernels(weights, order)._replace(
        up_kernels=tuple(kernel[:, :, np.array(order)] for kernel in weights.up_kernels),
        up_biases=tuple(bias[np.array(order)] for bias in weights.up_biases),
    )


# Their hidden width is 8 at the small widths of the contract.
def _gate_weights(dims, dim, hidden=8):
    return (dims[0] + hidden) * dim + (sum(dims[1:]) + len(dims) - 1) * hidden


def _branch_weights(dims, dim, hidden=8):
    num = len(dims)
    return dim * sum(dims) + 2 * hidden * (1 + dim * (num + 1)) + num * dim


OPERATORS = {
    "attention_weighted": OperatorMember(
        attention_weighted,
        _reorder_attention,
        num_weights=lambda dims, dim: (dim + len(dims)) * sum(dims) + len(dims) ** 2 + len(dims),
        widths=WIDTHS,
    ),
    "deep_sets": OperatorMember(
        deep_sets,
        _reorder_kernels,
        num_weights=lambda dims, dim: sum(dims) * dim + 3 * dim**2 + 4 * dim,
        widths=WIDTHS,
        roundings=3,
    ),
    "film": OperatorMember(
        film,
        num_weights=lambda dims, dim: (dims[0] + 2 * sum(dims[1:]) + 2 * len(dims) - 2) * dim,
        widths=WIDTHS,
    ),
    "channel_gate": OperatorMember(
        channel_gate, num_weights=_gate_weights, widths=WIDTHS, roundings=2
    ),
    "attentional_feature": OperatorMember(
        attentional_feature,
        _reorder_branches,
        num_weights=_branch_weights,
        widths=WIDTHS,
        roundings=3,
    ),
}
