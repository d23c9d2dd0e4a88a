"""Products of modalities: NumPy definitions of one sample, and their lines."""

import functools
import itertools
import math

import numpy as np
from operator_member import WIDTHS, OperatorMember


def multiplicative_interaction(xs, weights, present):
    z = weights.bias + np.zeros_like(weights.bias)
    for i in present:
        z += xs[i] @ weights.kernels[i]
    for (i, j), kernel in _pairs(weights).items():
        if i in present and j in present:
            z += np.einsum("p,q,pqd->d", xs[i], xs[j], kernel)
    return z


def _pairs(weights):
    """The kernel [d_i, d_j, dim] of each pair i < j."""
    widths = [kernel.shape[0] for kernel in weights.kernels]
    found = {}
    for i, kernel in enumerate(weights.interactions):
        start = 0
        for j in range(i + 1, len(widths)):
            found[i, j] = kernel[:, start : start + widths[j]]
            start += widths[j]
    return found


def tensor_fusion(xs, weights, present):
    extended = [_extended(x, m in present) for m, x in enumerate(xs)]
    z = weights.bias + np.zeros_like(weights.bias)
    # The order of rows is that of the indices counted up, the last one fastest.
    for row, index in enumerate(itertools.product(*(range(len(e)) for e in extended))):
        z += math.prod(e[k] for e, k in zip(extended, index, strict=True)) * weights.kernel[row]
    return z


def _extended(x, is_present):
    return np.concatenate([[1.0], x if is_present else np.zeros_like(x)])


def low_rank(xs, weights, present):
    z = weights.bias + np.zeros_like(weights.bias)
    for r, share in enumerate(weights.mixture):
        product = np.full_like(z, share)
        for m, x in enumerate(xs):
            factor = weights.offsets[m, r]
            product *= factor + x @ weights.kernels[m][:, r] if m in present else factor
        z += product
    return z


def polynomial(xs, weights, present):
    z = weights.bias + np.zeros_like(weights.bias)
    for r, row in enumerate(weights.out_kernel):
        factors = [
            offset + sum(xs[m] @ weights.kernels[m][:, p, r] for m in present)
            for p, offset in enumerate(weights.offsets[:, r])
        ]
        z += math.prod(factors) * row
    return z


def _reorder_pairs(weights, order):
    pairs = _pairs(weights)
    swapped = {(j, i): kernel.swapaxes(0, 1) for (i, j), kernel in pairs.items()}
    pairs = pairs | swapped
    return weights._replace(
        interactions=tuple(
            np.concatenate([pairs[i, j] for j in order[place + 1 :]], axis=1)
            for place, i in enumerate(order[:-1])
        ),
        kernels=tuple(weights.kernels[m] for m in order),
    )


def _reorder_tensor(weights, order, sizes):
    kernel = weights.kernel.reshape(*sizes, -1).transpose(*order, len(order))
    return weights._replace(kernel=kernel.reshape(weights.kernel.shape))


def _reorder_factors(weights, order):
    return weights._replace(
        kernels=tuple(weights.kernels[m] for m in order),
        offsets=weights.offsets[np.array(order)],
    )


def _reorder_kernels(weights, order):
    return weights._replace(kernels=tuple(weights.kernels[m] for m in order))


def _num_pairs(dims):
    return sum(d * e for d, e in itertools.combinations(dims, 2))


OPERATORS = {
    "multiplicative_interaction": OperatorMember(
        multiplicative_interaction,
        _reorder_pairs,
        num_weights=lambda dims, dim: (_num_pairs(dims) + sum(dims) + 1) * dim,
        # A kernel for each pair of features: six modalities of width 2048 would take 2 GB.
        widths=(*WIDTHS[:-1], ((128,) * 6, 8)),
    ),
    "tensor_fusion": OperatorMember(
        tensor_fusion,
        functools.partial(_reorder_tensor, sizes=(6, 5, 4)),
        num_weights=lambda dims, dim: (math.prod(d + 1 for d in dims) + 1) * dim,
        # As wide as Π (d_m + 1) allows: at most 5 million weights.
        widths=(((8, 8), 8), ((8, 2048), 64), ((256, 256), 8), ((32, 32, 32), 16), ((3,) * 6, 512)),
        # The products of entries, and the result.
        roundings=2,
    ),
    "low_rank": OperatorMember(
        low_rank,
        _reorder_factors,
        num_weights=lambda dims, dim: 4 * dim * (sum(dims) + len(dims)) + 4 + dim,
        widths=WIDTHS,
    ),
    "polynomial": OperatorMember(
        polynomial,
        _reorder_kernels,
        num_weights=lambda dims, dim: (2 * (sum(dims) + 1) + dim + 1) * dim,
        widths=WIDTHS,
        # The products of factors, and the result.
        roundings=2,
    ),
}
