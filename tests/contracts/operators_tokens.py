"""Transformers on tokens: NumPy definitions of one sample, and their lines."""

import numpy as np
from operator_member import OperatorMember
from scipy.special import erfc, softmax

_LENGTHS = (3, 2, 4)
# A block has 12·dim² weights, and every modality or pair may have its own: `dim` stays small.
_WIDTHS = (((8, 8), 8), ((8, 2048), 64), ((512, 512), 8), ((8,) * 6, 64), ((2048,) * 6, 8))


def _tokens(rng, n, dims):
    """Sequences of standard normal tokens, of several lengths."""
    return [rng.normal(size=(n, _LENGTHS[m % 3], d)) for m, d in enumerate(dims)]


def _norm(x, weights):
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return centred / deviation * weights.scale + weights.bias


def _attend(x, context, weights):
    total = np.zeros_like(x)
    for head in range(weights.query.shape[1]) if len(context) else ():
        query = x @ weights.query[:, head]
        key, value = (context @ weights.key_value[:, i, head] for i in range(2))
        shares = softmax(query @ key.T / np.sqrt(query.shape[1]), axis=1)
        total += shares @ value @ weights.out[head]
    return total


def _block(x, weights, context=None):
    normal = _norm(x, weights.norm)
    seen = normal if context is None else _norm(context, weights.norm)
    x = x + _attend(normal, seen, weights)
    hidden = _norm(x, weights.hidden_norm) @ weights.hidden_kernel + weights.hidden_bias
    hidden = 0.5 * hidden * erfc(-hidden / np.sqrt(2))
    return x + hidden @ weights.out_kernel + weights.out_bias


def _projected(xs, weights, modalities):
    """Tokens of some modalities as one sequence."""
    none = np.zeros((0, weights.biases.shape[1]))
    tokens = [xs[m] @ weights.kernels[m] + weights.biases[m] for m in modalities]
    return np.concatenate([none, *tokens])


def _place(tokens):
    """Adds the positions to tokens, in place."""
    half, dim = (tokens.shape[1] + 1) // 2, tokens.shape[1]
    for position, k in np.ndindex(len(tokens), half):
        angle = position / 10000 ** (k / half)
        tokens[position, k] += np.sin(angle)
        if half + k < dim:
            tokens[position, half + k] += np.cos(angle)


def cross_attention(xs, weights, present):
    if 0 not in present:
        return np.zeros(weights.biases.shape[1])
    tokens = _projected(xs, weights, [0])
    context = _projected(xs, weights, [m for m in present if m > 0])
    for layer in weights.blocks:
        tokens = _block(tokens, layer, context)
    return _norm(tokens.mean(axis=0), weights.norm)


def early_transformer(xs, weights, present):
    if not present:
        return np.zeros(weights.biases.shape[1])
    tokens = _projected(xs, weights, present)
    for layer in weights.blocks:
        tokens = _block(tokens, layer)
    return _norm(tokens.mean(axis=0), weights.norm)


def perceiver(xs, weights, present):
    if not present:
        return np.zeros(weights.biases.shape[1])
    tokens, latents = _projected(xs, weights, present), weights.latents
    for reader, layer in zip(weights.readers, weights.blocks, strict=True):
        latents = _block(_block(latents, reader, tokens), layer)
    return _norm(latents.mean(axis=0), weights.norm)


def bottleneck(xs, weights, present):
    if not present:
        return np.zeros(weights.biases.shape[1])
    streams, shared = {m: _projected(xs, weights, [m]) for m in present}, weights.bottlenecks
    for layer in range(len(weights.blocks[0])):
        copies = []
        for m, stream in streams.items():
            out = _block(np.concatenate([stream, shared]), weights.blocks[m][layer])
            streams[m] = out[: len(stream)]
            copies.append(out[len(stream) :])
        shared = sum(copies) / len(copies)
    return _norm(np.mean([stream.mean(axis=0) for stream in streams.values()], 0), weights.norm)


def translator(xs, weights, present):
    """Tokens and so none of the contract's members: tests/fusion/test_translator.py has it."""
    streams = [_projected(xs, weights, [m]) for m in present]
    for stream in streams:
        _place(stream)
    tokens = np.concatenate([np.zeros((0, weights.biases.shape[1])), *streams])
    for layer in weights.blocks:
        tokens = _block(tokens, layer)
    queries = weights.queries
    for reader in weights.readers:
        queries = _block(queries, reader, tokens)
    return _norm(queries, weights.norm) @ weights.out_kernel + weights.out_bias


def mult(xs, weights, present):
    dim = weights.biases.shape[1]
    nothing = np.zeros((0, dim))
    if not present:
        return np.zeros(dim)
    streams = {m: _projected(xs, weights, [m]) for m in present}
    for stream in streams.values():
        _place(stream)
    z = weights.out_bias.copy()
    for a in present:
        parts = []
        for b, pair in zip([b for b in range(len(xs)) if b != a], weights.readers[a], strict=True):
            part = streams[a]
            for layer in pair:
                part = _block(part, layer, streams.get(b, nothing))
            parts.append(part)
        joint = np.concatenate(parts, axis=1) if parts else streams[a]
        for layer in weights.blocks[a]:
            joint = _block(joint, layer)
        z += _norm(joint.mean(axis=0), weights.norms[a]) @ weights.out_kernel[a]
    return z


def _reorder(weights, order):
    kernels = tuple(weights.kernels[m] for m in order)
    return weights._replace(kernels=kernels, biases=weights.biases[np.array(order)])


def _reorder_streams(weights, order):
    return _reorder(weights, order)._replace(blocks=tuple(weights.blocks[m] for m in order))


def _reorder_pair(weights, order):
    # Of three, the order of the concatenation inside each modality would change as well.
    parts = ("readers", "norms")
    moved = {part: tuple(getattr(weights, part)[m] for m in order) for part in parts}
    return _reorder_streams(weights, order)._replace(
        **moved, out_kernel=weights.out_kernel[np.array(order)]
    )


def _num_block(dim):
    return 12 * dim**2 + 9 * dim


def _num_ends(dims, dim):
    """Projections of the modalities, and the last norm."""
    return sum(dims) * dim + (len(dims) + 2) * dim


def _num_mult(dims, dim):
    num, wide = len(dims), (len(dims) - 1) * dim
    blocks = num * (num - 1) * _num_block(dim) + num * _num_block(wide)
    return sum(dims) * dim + num * dim + blocks + num * (2 + dim) * wide + dim


def _member(oracle, reorder, num_weights, **fields):
    fields = {"dim": 8, "widths": _WIDTHS, "inputs": _tokens, "roundings": 8} | fields
    return OperatorMember(oracle, reorder, num_weights=num_weights, **fields)


# Every block costs a second of compilation: those that have one for each modality or pair keep
# the contract for two, and equal their definition for three in tests/fusion/test_tokens.py.
OPERATORS = {
    "cross_attention": _member(
        cross_attention, None, lambda dims, dim: _num_ends(dims, dim) + _num_block(dim)
    ),
    "early_transformer": _member(
        early_transformer, _reorder, lambda dims, dim: _num_ends(dims, dim) + 2 * _num_block(dim)
    ),
    "perceiver": _member(
        perceiver, _reorder, lambda dims, dim: _num_ends(dims, dim) + 2 * _num_block(dim) + 8 * dim
    ),
    "bottleneck": _member(
        bottleneck,
        _reorder_streams,
        lambda dims, dim: _num_ends(dims, dim) + 2 * len(dims) * _num_block(dim) + 4 * dim,
        dims=(5, 4),
    ),
    # The self-attention of six modalities is five times as wide, and there are thirty pairs.
    "mult": _member(
        mult, _reorder_pair, _num_mult, dims=(5, 4), widths=(*_WIDTHS[:3], ((8,) * 4, 32))
    ),
}
