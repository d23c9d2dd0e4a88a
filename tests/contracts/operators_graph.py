"""Attention over pairs of tokens: the NumPy definition of one sample, and its line."""

import numpy as np
from operator_member import OperatorMember


def bilinear_attention(xs, weights, present):
    dim = weights.kernel.shape[1]
    if not present:
        return np.zeros(dim)
    num_glimpses, rank = weights.attention_vectors.shape
    # An absent modality is one token whose projections are ones.
    project = lambda m, tokens, kernel: tokens @ kernel if m in present else np.ones((1, rank))
    x, y = xs
    stream = x @ weights.kernel if 0 in present else np.zeros((1, dim))
    for g in range(num_glimpses):
        left = project(0, x, weights.attention_kernels[0]) * weights.attention_vectors[g]
        logits = left @ project(1, y, weights.attention_kernels[1]).T
        attention = np.exp(logits - logits.max())
        attention /= attention.sum()
        left = project(0, stream, weights.pool_kernels[0][:, g])
        right = project(1, y, weights.pool_kernels[1][:, g])
        glimpse = np.einsum("ik,ij,jk->k", left, attention, right)
        stream = stream + glimpse @ weights.out_kernels[g]
    return stream.mean(axis=0)


def _token_inputs(rng, n, dims):
    return [rng.normal(size=(n, tokens, d)) for tokens, d in zip((3, 2), dims, strict=True)]


def _num_weights(dims, dim):
    d_a, d_b = dims
    rank, glimpses = dim, 2
    return d_a * dim + (d_a + d_b) * rank + glimpses * rank * (1 + 2 * dim + d_b)


OPERATORS = {
    "bilinear_attention": OperatorMember(
        bilinear_attention,
        dims=(5, 4),
        num_weights=_num_weights,
        # Pairs only; otherwise as for the others.
        widths=(((8, 8), 8), ((8, 2048), 64), ((2048, 8), 64), ((512, 512), 8), ((64, 64), 512)),
        inputs=_token_inputs,
        # Projection, product, pool and step of a glimpse.
        roundings=4,
    ),
}
