"""Block superdiagonal fusion: between MUTAN, one chunk, and MLB, chunks of one unit."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion, numerics

_DIMS = (5, 4, 3)
_PATTERNS = np.array(list(itertools.product([False, True], repeat=3)))
every_norm = pytest.mark.parametrize("normalize", [True, False])


def _case(seed, **options):
    """Returns a sample for each pattern of presence, and random weights."""
    rng = np.random.default_rng(seed)
    xs = [jnp.asarray(rng.normal(size=(8, d))) for d in _DIMS]
    weights = fusion.init_block(jax.random.key(0), _DIMS, 4, **options)
    return xs, jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), weights)


def _norms(z):
    return numerics.normalize(numerics.signed_sqrt(z))


@every_norm
def test_one_chunk_is_mutan(normalize, x64):
    xs, weights = _case(0, num_chunks=1, chunk_dim=6, rank=3)
    plain = fusion.MutanWeights(
        kernels=tuple(kernel[:, 0] for kernel in weights.kernels),
        factors=tuple(factor[0] for factor in weights.factors),
        out_kernel=jnp.eye(6),
    )
    hidden = fusion.mutan(xs, plain, present=_PATTERNS)
    expected = (_norms(hidden) if normalize else hidden) @ weights.out_kernel
    got = fusion.block(xs, weights, present=_PATTERNS, normalize=normalize)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@every_norm
def test_chunks_of_one_unit_and_rank_are_mlb_without_tanh(normalize, x64):
    xs, weights = _case(1, num_chunks=6, chunk_dim=1, rank=1)
    kernels = (k[..., 0] * f.ravel() for k, f in zip(weights.kernels, weights.factors, strict=True))
    plain = fusion.MlbWeights(tuple(kernels), jnp.eye(6))
    hidden = fusion.mlb(xs, plain, present=_PATTERNS, activation=lambda h: h)
    # The length of a chunk of one is its size, so that the sign is left.
    expected = (jnp.sign(hidden) if normalize else hidden) @ weights.out_kernel
    got = fusion.block(xs, weights, present=_PATTERNS, normalize=normalize)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_is_tucker_with_a_block_superdiagonal_core(x64):
    xs, weights = _case(2, num_chunks=3, chunk_dim=2, rank=2)
    core = np.zeros((6,) * 4)
    for c in range(3):
        chunk = slice(2 * c, 2 * c + 2)
        core[chunk, chunk, chunk, chunk] = np.einsum(
            "ark,brk,crk->abck", *(factor[c] for factor in weights.factors)
        )
    kernels = tuple(kernel.reshape(-1, 6) for kernel in weights.kernels)
    full = fusion.TuckerWeights(kernels, jnp.asarray(core), weights.out_kernel)
    expected = fusion.tucker(xs, full)
    got = fusion.block(xs, weights, normalize=False)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_every_chunk_has_length_one_where_anything_is_present(x64):
    xs, weights = _case(3, num_chunks=3, chunk_dim=4, rank=2)
    weights = weights._replace(out_kernel=jnp.eye(12))
    chunks = fusion.block(xs, weights, present=_PATTERNS).reshape(8, 3, 4)
    expected = np.repeat(_PATTERNS.any(axis=1), 3).reshape(8, 3)
    np.testing.assert_allclose(np.linalg.norm(chunks, axis=-1), expected, atol=1e-12)


@every_norm
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_initial_variance_is_one_under_absence(normalize, absent):
    xs = [jax.random.normal(jax.random.key(m), (256, 64)) for m in range(3)]
    init = functools.partial(fusion.init_block, dims=(64,) * 3, dim=32, normalize=normalize)

    @jax.jit
    def mean_square(key):
        fused = fusion.block(xs, init(key), present=np.arange(3) >= absent, normalize=normalize)
        return jnp.mean(fused**2)

    got = np.mean([mean_square(key) for key in jax.random.split(jax.random.key(9), 4)])
    assert got == pytest.approx(1, rel=0.3)


def test_bad_widths_and_options_are_refused(no_jaxtyping):
    weights = fusion.init_block(jax.random.key(0), (3, 5), 4)
    with pytest.raises(ValueError, match=r"^block: `weights` must have one kernel .*init_block\("):
        fusion.block([jnp.ones(3), jnp.ones(4)], weights)
    for option in ("num_chunks", "chunk_dim", "rank"):
        message = rf"^init_block: `{option}` must be at least 1, got 0; .*\.$"
        with pytest.raises(ValueError, match=message):
            fusion.init_block(jax.random.key(0), (3, 5), 4, **{option: 0})
