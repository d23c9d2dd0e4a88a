"""Compact bilinear pooling: the outer product of the modalities, sketched and never formed."""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from crossmodal_jax import kernels, numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._factors import ones_where_absent, random_kernel
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_inputs,
    check_positive,
    clean_inputs,
    linear,
    zero_all_absent,
)
from crossmodal_jax.fusion._stream import stream

_MAX_SKETCH = 8192


class CompactBilinearWeights(NamedTuple):
    """Weights of `compact_bilinear`.

    Attributes:
      kernel: Linear map of the sketch, shape [sketch, dim].
    """

    kernel: Float[Array, "sketch dim"]


def init_compact_bilinear(
    key: Array, dims: Sequence[int], dim: int, *, sketch_dim: int | None = None
) -> CompactBilinearWeights:
    """Initial weights of `compact_bilinear`: a random linear map.

    For inputs of variance 1 the sketch that the kernel meets has the mean square 1, under any
    absence. The entries of the kernel have variance 1/D, and the output variance 1.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      sketch_dim: Width D of the sketch. None takes the power of two from the size of the outer
        product ∏ d_m upwards, and at most 8192; the papers use 8000 and 16000.

    Returns:
      Weights in float32: a kernel of shape [sketch, dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> print(init_compact_bilinear(jax.random.key(0), (3, 5), 4).kernel.shape)
      (16, 4)
    """
    check_dims("compact_bilinear", dims, dim)
    if sketch_dim is None:
        sketch_dim = min(1 << (math.prod(dims) - 1).bit_length(), _MAX_SKETCH)
    check_positive("init_compact_bilinear", sketch_dim=sketch_dim)
    return CompactBilinearWeights(random_kernel(key, (sketch_dim, dim), 1 / sketch_dim))


def compact_bilinear(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: CompactBilinearWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    seed: int = 0,
    implementation: str | None = None,
) -> Float[Array, "*batch dim"]:
    """Multimodal compact bilinear pooling (MCB) and a linear map, for any number of modalities.

    z = P √D ψ₁(x₁/√d₁) ∗ … ∗ ψ_M(x_M/√d_M), where ψᵢ is the `count_sketch` of modality i, ∗ the
    circular convolution and P [dim, D]: the pooled sketch of `compact_bilinear_pooling`, with the
    constant factors that give its entries the mean square 1 for inputs of variance 1. The papers
    put the signed square root and the ℓ2 norm before P; call the pooling itself, and
    `numerics.signed_sqrt` and `numerics.normalize`, for those.

    The sketches follow from `seed` alone and are no weights: P is of use only with the seed and
    the order of the modalities that it was trained with.

    Absence: An absent modality is the neutral element of the convolution, [1, 0, …, 0], so that the
    sketch is that of the outer product of the others. Zeros where nothing is present.

    Cost: D · dim weights and twice as many FLOPs for a sample, besides those of the sketch, for
    which see `compact_bilinear_pooling`. Spectra are made for a chunk of rows at a time, and anew
    for the gradient: some 16 MiB, whatever the batch. XLA gathers a batch that is sharded over
    devices for a Fourier transform; inside `jax.shard_map` it does not.

    Choose it where every product of a feature of one modality with one of the other may matter
    and the outer product itself (tensor fusion) is too wide. Its sketch holds inner products with
    an error of the order of 1/√D; learned projections, as in `mlb` and `mutan`, need less width.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernel of shape [sketch, dim], as made by `init_compact_bilinear`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      seed: Non-negative number from which the sketches follow.
      implementation: As for `compact_bilinear_pooling`.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. The sketch is computed in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities or `present` disagree, or `implementation` is
        unknown.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_compact_bilinear(jax.random.key(0), (3, 5), 4)
      >>> xs = [jnp.ones((2, 3)), jnp.ones((2, 5))]
      >>> present = jnp.array([[True, True], [False, False]])
      >>> print(compact_bilinear(xs, weights, present=present)[1])
      [0. 0. 0. 0.]

    References:
      Gao et al., `Compact Bilinear Pooling <https://arxiv.org/abs/1511.06062>`_, 2016.

      Fukui et al., `Multimodal Compact Bilinear Pooling for Visual Question Answering and Visual
      Grounding <https://arxiv.org/abs/1606.01847>`_, 2016.
    """
    xs, mask = check_inputs("compact_bilinear", xs, present)
    dim = weights.kernel.shape[0]
    # ⟨a, b⟩ = ⟨DFT a, DFT b⟩ / D: the spectrum of the map is that of a few columns, where the
    # inverse transform would be one of every sample.
    dtype = np.promote_types(xs[0].dtype, np.float32)
    columns = jnp.fft.rfft(weights.kernel.astype(dtype).T)
    columns *= jnp.asarray(dim**-0.5 * _twins(dim), columns.dtype)
    maps = (columns.real.T, columns.imag.T)

    def rows(maps: Any, xs: Any, mask: Array) -> Array:
        scaled = [_wide(x) * x.shape[-1] ** -0.5 for x in zero_all_absent(xs, mask)]
        spectrum = _spectrum(
            "compact_bilinear", scaled, mask, dim, seed=seed, implementation=implementation
        )
        # Two products: real and imaginary parts side by side would be one more copy.
        parts = (part.astype(xs[0].dtype) for part in (spectrum.real, spectrum.imag))
        z = functools.reduce(jnp.add, map(linear, parts, maps)).astype(xs[0].dtype)
        return numerics.zero_absent(z, jnp.any(mask, axis=-1))

    return stream(rows, maps, xs, mask, (2 * len(xs) + 1) * dim)


def compact_bilinear_pooling(
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    dim: int,
    present: Bool[ArrayLike, "..."] | None = None,
    seed: int = 0,
    implementation: str | None = None,
) -> Float[Array, "*batch dim"]:
    """Compact bilinear pooling: a count sketch of the outer product of the modalities.

    z = ψ₁(x₁) ∗ … ∗ ψ_M(x_M) = IDFT(∏ᵢ DFT ψᵢ(xᵢ)), with ψᵢ the `count_sketch` of modality i and ∗
    the circular convolution. It equals the count sketch of x₁ ⊗ … ⊗ x_M with the hash Σᵢ hᵢ mod D
    and the sign ∏ᵢ sᵢ, and over the seeds E⟨z(x, y), z(x′, y′)⟩ = ⟨x, x′⟩⟨y, y′⟩.

    Absence: An absent modality is the neutral element of the convolution, [1, 0, …, 0], so that z
    is the sketch of the outer product of the others. Zeros where nothing is present.

    Cost: No weights. `"fft"` takes O(Σ dᵢ + M D log D) FLOPs for a sample; `"folded"` about
    2 D (Σ dᵢ + D), and half as many numbers as constants of the program. Temporaries of about
    (2 M + 1) D numbers for a sample.

    Choose it as the features of a linear model or a kernel, where products of all features of all
    modalities matter and nothing is to be learned; `compact_bilinear` adds a linear map.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      dim: Width D of the sketch.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      seed: Non-negative number from which the sketches follow.
      implementation: `"fft"` scatters each modality into its sketch and multiplies spectra.
        `"folded"` takes sketch and Fourier transform as one matrix product for each modality,
        which is faster while D and the d_m are small. None chooses by the shapes.

    Returns:
      The pooled sketch, shape [*batch, dim], in the dtype of the inputs, computed in float32 at
      least; zeros where nothing is present.

    Raises:
      ValueError: If the shapes of the modalities or `present` disagree, `dim` is not positive or
        `implementation` is unknown.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([2.0]), jnp.array([3.0])
      >>> print(jnp.abs(compact_bilinear_pooling([x, y], dim=1)))
      [6.]

    References:
      Gao et al., `Compact Bilinear Pooling <https://arxiv.org/abs/1511.06062>`_, 2016.

      Fukui et al., `Multimodal Compact Bilinear Pooling for Visual Question Answering and Visual
      Grounding <https://arxiv.org/abs/1606.01847>`_, 2016.
    """
    name = "compact_bilinear_pooling"
    _check_sketch(name, dim)
    xs, mask = clean_inputs(name, xs, present)
    wide = [_wide(x) for x in xs]
    implementation = _choose(implementation, xs, dim)
    spectrum = _spectrum(name, wide, mask, dim, seed=seed, implementation=implementation)
    inverse = _inverse_folded if implementation == "folded" else jnp.fft.irfft
    z = numerics.zero_absent(inverse(spectrum, n=dim), jnp.any(mask, axis=-1))
    return z.astype(xs[0].dtype)


def count_sketch(
    x: Float[ArrayLike, "*batch d"], *, dim: int, seed: int = 0, modality: int = 0
) -> Float[Array, "*batch dim"]:
    """Count sketch ψ(x)ₖ = Σ s(j) xⱼ over the j with hash h(j) = k.

    Each feature goes to a random place with a random sign, so that over the seeds
    E⟨ψ(x), ψ(y)⟩ = ⟨x, y⟩. Hash and sign are a pure function of seed, modality, d and D.

    Args:
      x: Features, shape [*batch, d].
      dim: Width D of the sketch.
      seed: Non-negative number from which hash and sign follow.
      modality: Another such number; modalities of one sample need sketches of their own.

    Returns:
      The sketch, shape [*batch, dim], in the dtype of `x`, added up in float32 at least.

    Raises:
      ValueError: If `dim` is not positive.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([3.0, 4.0])
      >>> print(jnp.abs(count_sketch(x, dim=1, seed=1)))
      [1.]
    """
    _check_sketch("count_sketch", dim)
    x = jnp.asarray(x)
    hashes, signs = _hashes_and_signs(seed, modality, x.shape[-1], dim)
    return _scatter(_wide(x), hashes, signs, dim).astype(x.dtype)


def _check_sketch(name: str, dim: int) -> None:
    if dim < 1:
        raise ValueError(
            f"{name}: `dim` must be positive, got {dim}; it is the width of the sketch."
        )


def _wide(x: Array) -> Array:
    """Returns `x` in float32 at least."""
    return x.astype(np.promote_types(x.dtype, np.float32))


def _hashes_and_signs(
    seed: int, modality: int, width: int, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns h(j) in 0 … dim − 1 and s(j) in {−1, 1} for j = 0 … width − 1."""
    # NumPy fixes the raw stream of a bit generator for ever, but not what a Generator makes of
    # it, and trained kernels depend on these numbers.
    raw = np.random.PCG64([seed, modality]).random_raw(width)
    hashes = (raw >> np.uint64(32)) * np.uint64(dim) >> np.uint64(32)
    signs = 1 - 2 * (raw & np.uint64(1)).astype(np.int32)
    return hashes.astype(np.int32), signs


def _choose(implementation: str | None, xs: Sequence[Array], dim: int) -> str:
    """Returns the implementation that is faster for these shapes, if none is asked for."""
    if implementation is not None:
        return implementation
    return "folded" if sum(x.shape[-1] for x in xs) + dim <= _FOLDED_WIDTHS else "fft"


def _spectrum(
    name: str,
    xs: Sequence[Float[Array, "*batch _"]],
    mask: Bool[Array, "*batch m"],
    dim: int,
    *,
    seed: int,
    implementation: str | None,
) -> Complex[Array, "*batch half"]:
    """Returns the spectrum of the convolution of the sketches of clean inputs."""
    sketches = [_hashes_and_signs(seed, m, x.shape[-1], dim) for m, x in enumerate(xs)]
    implementation = _choose(implementation, xs, dim)
    spectra = kernels.dispatch(name, _IMPLEMENTATIONS, implementation, xs, sketches, dim)
    return functools.reduce(jnp.multiply, ones_where_absent(spectra, mask))


def _fft(
    xs: Sequence[Array], sketches: Sequence[tuple[np.ndarray, np.ndarray]], dim: int
) -> list[Array]:
    """Scatters and transforms. It is the definition."""
    return [jnp.fft.rfft(_scatter(x, *sketch, dim)) for x, sketch in zip(xs, sketches, strict=True)]


def _scatter(x: Array, hashes: np.ndarray, signs: np.ndarray, dim: int) -> Array:
    """Returns the count sketch: written place by place, which is fast only column by column.

    So each place takes the first feature that goes there, and only further ones are added. The
    slope is that of the sum over the features, whose transpose just takes from the places.
    """
    places, features = np.unique(hashes, return_index=True)
    source, filled = np.zeros(dim, np.int32), np.zeros(dim, bool)
    source[places], filled[places] = features, True
    others = np.setdiff1d(np.arange(len(hashes)), features)

    @jax.custom_jvp
    def sketch(x: Array) -> Array:
        z = jnp.where(filled, (x * signs.astype(x.dtype))[..., source], 0)
        return z.at[..., hashes[others]].add(x[..., others] * signs[others].astype(x.dtype))

    @sketch.defjvp
    def _(primals: Any, tangents: Any) -> tuple[Array, Array]:
        (dx,) = tangents
        zeros = jnp.zeros((*dx.shape[:-1], dim), dx.dtype)
        return sketch(*primals), zeros.at[..., hashes].add(dx * signs.astype(dx.dtype))

    return sketch(x)


def _folded(
    xs: Sequence[Array], sketches: Sequence[tuple[np.ndarray, np.ndarray]], dim: int
) -> list[Array]:
    """Takes sketch and Fourier transform of a modality as one matrix."""
    num, spectra = dim // 2 + 1, []
    for x, (hashes, signs) in zip(xs, sketches, strict=True):
        kernel = signs[:, None] * _fourier(hashes, dim)
        parts = jnp.matmul(x, jnp.asarray(kernel, x.dtype), precision="highest")
        spectra.append(jax.lax.complex(parts[..., :num], parts[..., num:]))
    return spectra


def _inverse_folded(spectrum: Array, *, n: int) -> Array:
    """Takes the inverse transform as one matrix."""
    parts = jnp.concatenate([spectrum.real, spectrum.imag], axis=-1)
    inverse = np.tile(_twins(n), 2)[:, None] * _fourier(np.arange(n), n).T / n
    return jnp.matmul(parts, jnp.asarray(inverse, parts.dtype), precision="highest")


def _twins(dim: int) -> np.ndarray:
    """Returns how many frequencies of the whole spectrum each of the half stands for."""
    freqs = np.arange(dim // 2 + 1)
    # 0 and, for an even dim, dim/2 are their own conjugate twins.
    return np.where((freqs == 0) | (2 * freqs == dim), 1, 2)


def _fourier(places: np.ndarray, dim: int) -> np.ndarray:
    """Returns the spectra of unit impulses at `places`, real parts before imaginary ones."""
    # Reduced to one turn as integers, where it is exact.
    turns = np.outer(places, np.arange(dim // 2 + 1)) % dim / dim
    return np.concatenate([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], axis=1)


_IMPLEMENTATIONS = {"fft": _fft, "folded": _folded}
# Where the matrix products stop being faster than the transforms on two x86 cores.
_FOLDED_WIDTHS = 384
