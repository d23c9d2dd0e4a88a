"""Products of the modalities: NumPy definitions of one sample, and their lines.

An absent modality is a factor of ones. What is left is a function of the present ones alone; it is
0 if there are none.
"""

import itertools
import math

import numpy as np
from operator_member import WIDTHS, OperatorMember


def _hash_and_sign(modality, width, dim, seed=0):
    # The upper half of a random word is a fraction of one, its last bit a sign.
    words = [int(w) for w in np.random.PCG64([seed, modality]).random_raw(width)]
    return [(w >> 32) * dim >> 32 for w in words], [1 - 2 * (w % 2) for w in words]


def compact_bilinear(xs, weights, present):
    dim, out = weights.kernel.shape
    if not present:
        return np.zeros(out)
    tables = [_hash_and_sign(m, len(xs[m]), dim) for m in present]
    # The count sketch of the outer product, entry by entry.
    sketch = np.zeros(dim)
    for index in itertools.product(*(range(len(xs[m])) for m in present)):
        place, entry = 0, 1.0
        for m, j, (hashes, signs) in zip(present, index, tables, strict=True):
            place += hashes[j]
            entry *= signs[j] * xs[m][j]
        sketch[place % dim] += entry
    scale = math.prod(len(xs[m]) for m in present)
    return np.sqrt(dim / scale) * sketch @ weights.kernel


def mlb(xs, weights, present):
    if not present:
        return np.zeros(weights.out_kernel.shape[1])
    factors = [np.tanh(xs[m] @ weights.kernels[m]) for m in present]
    return np.prod(factors, axis=0) @ weights.out_kernel


def _power_and_length(z):
    z = np.sign(z) * np.sqrt(np.abs(z))
    length = np.sqrt(np.sum(z**2))
    return z / length if length > 0 else z


def _expand(xs, kernels, present):
    """Products of one block, [units, k]; the first k columns of a flat kernel are unit 0."""
    _, units, k = kernels[0].shape
    product = np.ones(units * k)
    for m in present:
        product *= xs[m] @ kernels[m].reshape(len(xs[m]), units * k)
    return product.reshape(units, k)


def mfb(xs, weights, present):
    if not present:
        return np.zeros(weights.kernels[0].shape[1])
    return _power_and_length(_expand(xs, weights.kernels, present).sum(axis=1))


def mfh(xs, weights, present):
    results, product = [], None
    for block in weights.blocks:
        own = _expand(xs, block.kernels, present)
        product = own if product is None else product[: len(own)] * own
        pooled = product.sum(axis=1)
        results.append(_power_and_length(pooled) if present else np.zeros_like(pooled))
    return np.concatenate(results)


def tucker(xs, weights, present):
    if not present:
        return np.zeros(weights.out_kernel.shape[1])
    tensor = weights.core
    for m, kernel in enumerate(weights.kernels):
        vector = xs[m] @ kernel if m in present else np.ones(kernel.shape[1])
        tensor = np.tensordot(vector, tensor, axes=(0, 0))
    return tensor @ weights.out_kernel


def mutan(xs, weights, present):
    if not present:
        return np.zeros(weights.out_kernel.shape[1])
    _, rank, units = weights.factors[0].shape
    total = np.zeros(units)
    for r in range(rank):
        product = np.ones(units)
        for m in present:
            product *= xs[m] @ weights.kernels[m] @ weights.factors[m][:, r]
        total += product
    return total @ weights.out_kernel


def block(xs, weights, present):
    if not present:
        return np.zeros(weights.out_kernel.shape[1])
    chunks, _, rank, units = weights.factors[0].shape
    results = []
    for c in range(chunks):
        total = np.zeros(units)
        for r in range(rank):
            product = np.ones(units)
            for m in present:
                product *= xs[m] @ weights.kernels[m][:, c] @ weights.factors[m][c, :, r]
            total += product
        results.append(_power_and_length(total))
    return np.concatenate(results) @ weights.out_kernel


def _reorder(weights, order):
    """Follows a new order of the modalities in every field that has one entry for each."""
    fields = {
        name: getattr(weights, name) for name in ("kernels", "factors") if hasattr(weights, name)
    }
    return weights._replace(**{k: tuple(v[m] for m in order) for k, v in fields.items()})


def _reorder_blocks(weights, order):
    return weights._replace(blocks=tuple(_reorder(block, order) for block in weights.blocks))


def _reorder_core(weights, order):
    core = weights.core.transpose(*order, len(order))
    return _reorder(weights, order)._replace(core=core)


OPERATORS = {
    # Each modality has a sketch of its own, so their order matters. The default sketch has as
    # many entries as the outer product of 5, 4 and 3 features, rounded up to a power of two.
    "compact_bilinear": OperatorMember(
        compact_bilinear, num_weights=lambda dims, dim: 64 * dim, widths=WIDTHS, roundings=2
    ),
    "mlb": OperatorMember(
        mlb,
        _reorder,
        num_weights=lambda dims, dim: 256 * (sum(dims) + dim),
        widths=WIDTHS,
        roundings=2,
    ),
    # Blocks of length 1 in the paper and here: their scale is that of their meaning.
    "mfb": OperatorMember(
        mfb, _reorder, num_weights=lambda dims, dim: 5 * dim * sum(dims), step=1e-7
    ),
    "mfh": OperatorMember(
        mfh, _reorder_blocks, dim=5, num_weights=lambda dims, dim: 5 * dim * sum(dims), step=1e-7
    ),
    # The fourth root of 2¹⁸ is 22.6.
    "tucker": OperatorMember(
        tucker,
        _reorder_core,
        num_weights=lambda dims, dim: 22 * (sum(dims) + dim) + 22**4,
        widths=WIDTHS,
        roundings=3,
    ),
    "mutan": OperatorMember(
        mutan,
        _reorder,
        num_weights=lambda dims, dim: 128 * (sum(dims) + dim) + len(dims) * 5 * 128**2,
        widths=WIDTHS,
        roundings=3,
    ),
    "block": OperatorMember(
        block,
        _reorder,
        num_weights=lambda dims, dim: 256 * (sum(dims) + dim) + len(dims) * 16 * 8 * 16**2,
        widths=WIDTHS,
        roundings=2,
        step=1e-7,
    ),
}
