"""Multiplicative interaction: what one modality says depends, linearly, on another."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_choice
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_inputs,
    check_kernels,
    linear,
    zero_all_absent,
)
from crossmodal_jax.fusion._stream import bilinear_form, stream

_FORMS = ("matrix", "vector", "scalar")


class MatrixInteractionWeights(NamedTuple):
    """Weights of `multiplicative_interaction`, matrix form.

    Attributes:
      interactions: One for each modality but the last, with the concatenation of those after it,
        shapes [d_i, Σ_{j>i} d_j, dim].
      kernels: Linear map of each modality, shapes [d_m, dim].
      bias: Bias of the result, shape [dim].
    """

    interactions: tuple[Float[Array, "d_i d_after dim"], ...]
    kernels: tuple[Float[Array, "d_m dim"], ...]
    bias: Float[Array, "dim"]


class VectorInteractionWeights(NamedTuple):
    """Weights of `multiplicative_interaction`, vector form; the scalar form if k = 1.

    Attributes:
      scale_kernel: From the first modality to the scale of the others, shape [d_1, k] with k
        either `dim` or 1.
      scale_bias: Bias of the scale, shape [k].
      kernels: Linear map of each modality, shapes [d_m, dim].
      bias: Bias of the result, shape [dim].
    """

    scale_kernel: Float[Array, "d_1 k"]
    scale_bias: Float[Array, "k"]
    kernels: tuple[Float[Array, "d_m dim"], ...]
    bias: Float[Array, "dim"]


def init_multiplicative_interaction(
    key: Array, dims: Sequence[int], dim: int, *, form: str = "matrix"
) -> MatrixInteractionWeights | VectorInteractionWeights:
    """Initial weights of `multiplicative_interaction`: half linear, half products.

    For independent inputs of variance 1 the output has variance 1, one half from the linear
    terms and one from the products. In the matrix form either half is shared equally by its
    terms. In the vector and the scalar form the scale is 1 plus a random linear map of variance
    1, and the linear half is that of the first modality.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      form: `"matrix"`, `"vector"` or `"scalar"`: how much the first modality may do to the
        others.

    Returns:
      Weights in float32. In the matrix form interactions [d_i, Σ_{j>i} d_j, dim], kernels
      [d_m, dim] and a bias [dim]; else a scale kernel [d_1, k] and scale bias [k] with k = dim
      or 1, kernels [d_m, dim] and a bias [dim].

    Raises:
      ValueError: If there is no modality, a width is not positive, `form` is unknown, or there
        is one modality only in a form other than `"matrix"`.

    Examples:
      >>> import jax
      >>> init = init_multiplicative_interaction
      >>> print(init(jax.random.key(0), (3, 5), 4).interactions[0].shape)
      (3, 5, 4)
      >>> print(init(jax.random.key(0), (3, 5), 4, form="vector").scale_kernel.shape)
      (3, 4)
      >>> print(init(jax.random.key(0), (3, 5), 4, form="scalar").scale_kernel.shape)
      (3, 1)
    """
    check_dims("multiplicative_interaction", dims, dim)
    check_choice("init_multiplicative_interaction", "form", form, _FORMS)
    num = len(dims)
    if form != "matrix" and num == 1:
        raise ValueError(
            f"init_multiplicative_interaction: form {form!r} must have a second modality to "
            f"scale, got dims={tuple(dims)}; form 'matrix' of one modality is a linear map."
        )
    keys, pair_keys = jax.random.split(key, (2, num))

    def normal(key: Array, shape: tuple[int, ...], variance: float) -> Array:
        return jax.random.normal(key, shape, jnp.float32) * variance**0.5

    bias = jnp.zeros(dim, jnp.float32)
    if form == "matrix":
        linear_half = 1.0 if num == 1 else 0.5
        afters = [sum(dims[i + 1 :]) for i in range(num - 1)]
        return MatrixInteractionWeights(
            interactions=tuple(
                normal(pair_keys[i], (dims[i], after, dim), 0.5 / (num - 1) / (dims[i] * after))
                for i, after in enumerate(afters)
            ),
            kernels=tuple(
                normal(keys[m], (d, dim), linear_half / num / d) for m, d in enumerate(dims)
            ),
            bias=bias,
        )
    width = dim if form == "vector" else 1
    # The scale has mean square 2, so the others give a quarter of the variance to the product.
    shares = [0.5, *[0.25 / (num - 1)] * (num - 1)]
    return VectorInteractionWeights(
        scale_kernel=normal(pair_keys[0], (dims[0], width), 1 / dims[0]),
        scale_bias=jnp.ones(width, jnp.float32),
        kernels=tuple(normal(keys[m], (d, dim), shares[m] / d) for m, d in enumerate(dims)),
        bias=bias,
    )


def multiplicative_interaction(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: MatrixInteractionWeights | VectorInteractionWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Multiplicative interaction: linear terms, and products of two modalities.

    The type of `weights` tells the form:

    - matrix: z = Σ_{i<j} xᵢᵀ Wᵢⱼ xⱼ + Σᵢ Uᵢᵀ xᵢ + b over all pairs, where the Wᵢⱼ of one i lie
      side by side in `interactions[i]`; W = 0 leaves a linear map of the concatenation;
    - vector: z = (Wᵀ x₁ + v) ⊙ Σ_{j>1} Uⱼᵀ xⱼ + U₁ᵀ x₁ + b, the first modality scales what the
      others say, unit by unit;
    - scalar: the same with one scale for all units, a single number w · x₁ + v.

    The paper has two modalities, and in the vector and the scalar form no map of x₂, which must
    then have the width of the result: that is U₂ = 1. Products of more than two modalities are
    those of `tensor_fusion` and `low_rank`.

    Absence: the entries of an absent modality are 0, so that the terms with it drop out and the
    others stay; without the first modality, the scale is v. Where nothing is present, the
    result is b.

    Cost: in the matrix form dim · (Σ_{i<j} dᵢ dⱼ + Σ dᵢ + 1) weights and twice as many FLOPs per
    sample. Of temporaries there are those of one chunk of rows, about 16 MiB each and made anew for
    the gradient, whatever the batch. Under `jax.vmap` a mapped sample is a
    batch of its own: give large batches as axes of `xs` instead. The vector form has
    dim · (Σ dᵢ + d₁ + 2) weights, the scalar form dim · (Σ dᵢ + 1) + d₁ + 1, and both about twice
    as many FLOPs.

    Choose it, in the matrix form, when pairs of features matter and widths are moderate; the
    vector form when one modality is the context in which the others are read; the scalar form
    when it only says how much they count.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast. In the vector
        and the scalar form the first is the context.
      weights: As made by `init_multiplicative_interaction`: interactions [d_i, Σ_{j>i} d_j, dim]
        or scale [d_1, k] and [k], kernels Uᵢ [d_m, dim] and bias b [dim].
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs. Products add up
      in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> # x₁ · x₂ + 10 x₂ + 1
      >>> kernels = (jnp.zeros((1, 1)), jnp.full((1, 1), 10.0))
      >>> weights = MatrixInteractionWeights((jnp.ones((1, 1, 1)),), kernels, jnp.ones(1))
      >>> xs = [jnp.array([3.0]), jnp.array([2.0])]
      >>> print(multiplicative_interaction(xs, weights))
      [27.]
      >>> print(multiplicative_interaction(xs, weights, present=jnp.array([False, True])))
      [21.]

    References:
      Jayakumar et al., `Multiplicative Interactions and Where to Find Them
      <https://openreview.net/forum?id=rylnK6VtDH>`_, ICLR 2020.
    """
    xs, mask = check_inputs("multiplicative_interaction", xs, present)
    check_kernels("multiplicative_interaction", xs, weights.kernels)
    if isinstance(weights, VectorInteractionWeights):
        return _scaled(weights, xs, mask)
    # A row of the widest product, or of the linear terms where there is one modality.
    sizes = [kernel.size // max(kernel.shape[::2]) for kernel in weights.interactions]
    return stream(_pair_products, weights, xs, mask, max([*sizes, len(weights.bias)]))


def _scaled(
    weights: VectorInteractionWeights, xs: tuple[Array, ...], mask: Bool[Array, "*batch m"]
) -> Float[Array, "*batch dim"]:
    """Returns (w x₁ + v) ⊙ Σ_{j>1} Uⱼ xⱼ + U₁ x₁ + b."""
    xs = zero_all_absent(xs, mask)
    first, *others = [linear(x, kernel) for x, kernel in zip(xs, weights.kernels, strict=True)]
    scale = linear(xs[0], weights.scale_kernel)
    scale = scale + weights.scale_bias.astype(scale.dtype)
    z = first + scale * functools.reduce(jnp.add, others)
    return (z + weights.bias.astype(z.dtype)).astype(xs[0].dtype)


def _pair_products(
    weights: MatrixInteractionWeights, xs: tuple[Array, ...], mask: Bool[Array, "*batch m"]
) -> Float[Array, "*batch dim"]:
    """Returns Σ_{i<j} xᵢᵀ Wᵢⱼ xⱼ + Σᵢ Uᵢ xᵢ + b."""
    xs = zero_all_absent(xs, mask)
    terms = [linear(x, kernel) for x, kernel in zip(xs, weights.kernels, strict=True)]
    terms += [
        bilinear_form(xs[i], jnp.concatenate(xs[i + 1 :], axis=-1), kernel)
        for i, kernel in enumerate(weights.interactions)
    ]
    z = functools.reduce(jnp.add, terms)
    return (z + weights.bias.astype(z.dtype)).astype(xs[0].dtype)
