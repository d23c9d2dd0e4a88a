"""Experts and decisions: NumPy definitions of one sample, and their lines."""

import itertools
import math

import numpy as np
from operator_member import OperatorMember
from scipy.special import log_softmax, logsumexp, softmax


def _product(experts):
    """Product of Gaussians [2d] and the prior: precisions and precision-weighted means add up."""
    means, log_variances = np.split(np.stack(experts), 2, axis=1)
    precisions = np.exp(-log_variances)
    total = 1 + precisions.sum(axis=0)
    return np.concatenate([(precisions * means).sum(axis=0) / total, -np.log(total)])


def _moments(components):
    """Mean and variance of the even mixture of Gaussians [2d]."""
    means, log_variances = np.split(np.stack(components), 2, axis=1)
    mean = means.mean(axis=0)
    second = (np.exp(log_variances) + means**2).mean(axis=0)
    return np.concatenate([mean, np.log(second - mean**2)])


def product_of_experts(xs, weights, present):
    return _product([xs[m] for m in present]) if present else np.zeros_like(xs[0])


def mixture_of_experts(xs, weights, present):
    return _moments([xs[m] for m in present]) if present else np.zeros_like(xs[0])


def mopoe(xs, weights, present):
    sizes = range(1, len(present) + 1)
    subsets = [a for size in sizes for a in itertools.combinations(present, size)]
    products = [_product([xs[m] for m in subset]) for subset in subsets]
    return _moments(products) if present else np.zeros_like(xs[0])


def late_mean(xs, weights, present):
    if not present:
        return np.full_like(xs[0], -np.log(len(xs[0])))
    return logsumexp([log_softmax(xs[m]) for m in present], axis=0) - np.log(len(present))


def late_product(xs, weights, present):
    logs = [log_softmax(xs[m]) for m in present]
    return log_softmax(np.mean(logs, axis=0) if present else np.zeros_like(xs[0]))


def late_vote(xs, weights, present):
    if not present:
        return np.full_like(xs[0], 1 / len(xs[0]))
    ballots = np.zeros_like(xs[0])
    for m in present:
        winners = np.flatnonzero(xs[m] == xs[m].max())
        ballots[winners] += 1 / len(winners)
    return ballots / ballots.sum()


def evidential(xs, weights, present):
    """Dempster's rule as the paper writes it, one modality after the other."""
    k = len(xs[0])
    belief, unknown = np.zeros(k), 1.0
    for m in present:
        total = np.sum(xs[m] + 1)
        b, u = xs[m] / total, k / total
        conflict = sum(belief[i] * b[j] for i, j in itertools.product(range(k), range(k)) if i != j)
        belief = (belief * b + belief * u + b * unknown) / (1 - conflict)
        unknown = unknown * u / (1 - conflict)
    return k * belief / unknown


def stacking(xs, weights, present):
    logits = weights.bias.copy()
    for m in present:
        logits += log_softmax(xs[m]) @ weights.kernels[m] + weights.biases[m]
    return logits


def vcdn(xs, weights, present):
    # A clear softmax for those present, an even one for the others.
    decisions = [
        softmax(x) if m in present else np.full_like(x, 1 / len(x)) for m, x in enumerate(xs)
    ]
    cells = np.array([math.prod(cell) for cell in itertools.product(*decisions)])
    hidden = cells @ weights.hidden_kernel + weights.hidden_bias
    hidden = np.where(hidden > 0, hidden, hidden / 4)
    return hidden @ weights.kernel + weights.bias


def _reorder_stacking(weights, order):
    return weights._replace(
        kernels=tuple(weights.kernels[m] for m in order), biases=weights.biases[np.array(order)]
    )


def _reorder_cells(weights, order):
    dims = OPERATORS["vcdn"].dims
    kernel = weights.hidden_kernel
    tensor = kernel.reshape(*dims, -1).transpose(*order, len(dims))
    return weights._replace(hidden_kernel=tensor.reshape(kernel.shape))


def _evidence(rng, n, dims):
    return [rng.gamma(1.0, 2.0, size=(n, d)) for d in dims]


def _same(weights, order):
    return weights


# No widths: the scale of distributions and probabilities is that of their meaning, and the logits
# of the learned ones are as large as the modalities are certain.
OPERATORS = {
    "product_of_experts": OperatorMember(product_of_experts, _same, dims=(4, 4, 4)),
    "mixture_of_experts": OperatorMember(mixture_of_experts, _same, dims=(4, 4, 4)),
    "mopoe": OperatorMember(mopoe, _same, dims=(4, 4, 4), roundings=2),
    "late_mean": OperatorMember(late_mean, _same, dims=(4, 4, 4)),
    "late_product": OperatorMember(late_product, _same, dims=(4, 4, 4)),
    "late_vote": OperatorMember(late_vote, _same, dims=(4, 4, 4)),
    "evidential": OperatorMember(evidential, _same, dims=(4, 4, 4), inputs=_evidence),
    "stacking": OperatorMember(
        stacking,
        _reorder_stacking,
        num_weights=lambda dims, dim: (sum(dims) + len(dims) + 1) * dim,
        roundings=2,
    ),
    "vcdn": OperatorMember(
        vcdn,
        _reorder_cells,
        num_weights=lambda dims, dim: (math.prod(dims) + 1) * 64 + 65 * dim,
        roundings=3,
    ),
}
