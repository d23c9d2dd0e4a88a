"""Tensor fusion: one weight for every product of entries of different modalities."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._factors import outer
from crossmodal_jax.fusion._inputs import check_dims, check_inputs, clean_inputs, zero_all_absent
from crossmodal_jax.fusion._stream import bilinear_form, stream

# More could not be indexed by 32 bits, and would take 8 GiB.
_MAX_ENTRIES = 2**31 - 1


class TensorFusionWeights(NamedTuple):
    """Weights of `tensor_fusion`.

    Attributes:
      kernel: Linear map of the outer product, shape [Π (d_m + 1), dim]; its rows are in the
        order of `outer_product`.
      bias: Bias of the result, shape [dim].
    """

    kernel: Float[Array, "products dim"]
    bias: Float[Array, "dim"]


def init_tensor_fusion(key: Array, dims: Sequence[int], dim: int) -> TensorFusionWeights:
    """Initial weights of `tensor_fusion`: all degrees of the product are heard, no bias.

    The variance of a row of the kernel is a product over the modalities: M / (M + 2) where the
    row takes the one, 2 / (M + 2) / dᵢ where it takes an entry of xᵢ. For independent inputs of
    variance 1 the output then has mean square 1, of which an absent modality leaves the share
    M / (M + 2), and all of them together 1 / e² at least. One variance for all rows would leave
    1 / (dᵢ + 1), next to nothing.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.

    Returns:
      Weights in float32: a kernel of shape [Π (d_m + 1), dim] and a bias of shape [dim].

    Raises:
      ValueError: If there is no modality, a width is not positive, or the kernel would have
        2³¹ entries or more.

    Examples:
      >>> import jax
      >>> weights = init_tensor_fusion(jax.random.key(0), (3, 5), 4)
      >>> print(weights.kernel.shape, weights.bias.shape)
      (24, 4) (4,)
    """
    check_dims("tensor_fusion", dims, dim)
    products = math.prod(d + 1 for d in dims)
    if products * dim > _MAX_ENTRIES:
        raise ValueError(
            f"init_tensor_fusion: the kernel must have fewer than 2³¹ entries, got {products} "
            f"products · {dim} = {products * dim} for dims={tuple(dims)}; project the modalities "
            "to fewer features first, or take low_rank, which never makes the kernel."
        )
    num = len(dims)
    scale = outer(_with_ones([jnp.full(d, (2 / num / d) ** 0.5, jnp.float32) for d in dims]))
    scale = scale * (num / (num + 2)) ** (num / 2)
    kernel = jax.random.normal(key, (products, dim), jnp.float32) * scale[:, None]
    return TensorFusionWeights(kernel, jnp.zeros(dim, jnp.float32))


def tensor_fusion(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: TensorFusionWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Linear map of the outer product of all modalities, each extended by a one.

    z = Wᵀ vec([1; x₁] ⊗ … ⊗ [1; x_M]) + b: thanks to the ones, every product of entries of any
    subset of the modalities has a weight of its own. The outer product itself is made by
    `outer_product`; here only the half of it that is cheaper is, a few rows at a time.

    Absence: an absent modality is [1; 0; …; 0], so that all products with its entries drop out
    and those of the others stay. Where nothing is present, the result is the first row of W
    plus b.

    Cost: Π (dᵢ + 1) · dim + dim weights and 2 · Π (dᵢ + 1) · dim FLOPs per sample. Of temporaries
    there are those of one chunk of rows, about 16 MiB each and made anew for the gradient,
    whatever the batch. Under `jax.vmap` a mapped sample is a batch of its own: give
    large batches as axes of `xs` instead.

    Choose it when modalities are few and narrow, say three of up to 64 features, and which of
    them interact is unknown. Else `low_rank` has the same products with far fewer weights.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernel W [Π (d_m + 1), dim] and bias b [dim], as made by `init_tensor_fusion`.
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
      >>> # x₁ · x₂ + 10 x₂: rows are 1, x₂, x₁ and x₁ · x₂.
      >>> weights = TensorFusionWeights(jnp.array([[0.0], [10.0], [0.0], [1.0]]), jnp.zeros(1))
      >>> xs = [jnp.array([3.0]), jnp.array([2.0])]
      >>> print(tensor_fusion(xs, weights))
      [26.]
      >>> print(tensor_fusion(xs, weights, present=jnp.array([False, True])))
      [20.]

    References:
      Zadeh et al., `Tensor Fusion Network for Multimodal Sentiment Analysis
      <https://arxiv.org/abs/1707.07250>`_, 2017. The paper puts a network on the outer product;
      this is its first layer.
    """
    xs, mask = check_inputs("tensor_fusion", xs, present)
    sizes = [x.shape[-1] + 1 for x in xs]
    if weights.kernel.shape[0] != math.prod(sizes):
        widths = tuple(size - 1 for size in sizes)
        raise ValueError(
            "tensor_fusion: `weights` must have a kernel [Π (d_m + 1), dim] with "
            f"{math.prod(sizes)} rows for modalities of width {list(widths)}, got a kernel "
            f"{weights.kernel.shape}; make it with init_tensor_fusion(key, {widths}, dim)."
        )
    dim = weights.kernel.shape[1]
    # The outer product is that of two halves; the left meets the kernel, the right the result.
    # A modality without features, a factor [1], keeps the right one from being empty.
    sizes = (*sizes, 1)
    halves = [(math.prod(sizes[:m]), math.prod(sizes[m:])) for m in range(1, len(sizes))]
    costs = [left + right * dim for left, right in halves]
    cut = costs.index(min(costs))

    def fuse(
        weights: TensorFusionWeights, xs: tuple[Array, ...], mask: Bool[Array, "*batch m"]
    ) -> Array:
        factors = _with_ones((*zero_all_absent(xs, mask), xs[0][..., :0]))
        kernel = weights.kernel.reshape(*halves[cut], dim)
        z = bilinear_form(outer(factors[: cut + 1]), outer(factors[cut + 1 :]), kernel)
        return (z + weights.bias.astype(z.dtype)).astype(xs[0].dtype)

    return stream(fuse, weights, xs, mask, costs[cut])


def outer_product(
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch products"]:
    """Outer product of all modalities, each extended by a one, as a vector.

    z = vec([1; x₁] ⊗ … ⊗ [1; x_M]) with the last modality varying fastest. Entry (k₁, …, k_M)
    of the tensor is the product of the entries kᵢ of [1; xᵢ], of which entry 0 is the one, and
    stands at place (…(k₁ (d₂ + 1) + k₂)(d₃ + 1) + …) + k_M. The first entry is always 1.

    Absence: an absent modality is [1; 0; …; 0], so that all products with its entries are 0.
    Where nothing is present, the result is [1; 0; …; 0].

    Cost: no weights; Π (dᵢ + 1) numbers and about as many FLOPs per sample.

    Choose it to feed a map of your own. For a linear one, `tensor_fusion` gives the same result
    without making this vector.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.

    Returns:
      The products, shape [*batch, Π (d_m + 1)], in the dtype of the inputs.

    Raises:
      ValueError: If the shapes of the modalities and `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> xs = [jnp.array([2.0, 3.0]), jnp.array([5.0])]
      >>> print(outer_product(xs))
      [ 1.  5.  2. 10.  3. 15.]
      >>> print(outer_product(xs, present=jnp.array([True, False])))
      [1. 0. 2. 0. 3. 0.]

    References:
      Zadeh et al., `Tensor Fusion Network for Multimodal Sentiment Analysis
      <https://arxiv.org/abs/1707.07250>`_, 2017.
    """
    xs, _ = clean_inputs("outer_product", xs, present)
    return outer(_with_ones(xs))


def _with_ones(xs: Sequence[Float[Array, "..."]]) -> list[Float[Array, "..."]]:
    """Returns the [1; xᵢ], from clean inputs."""
    last = [(0, 0)] * (xs[0].ndim - 1) + [(1, 0)]
    return [jnp.pad(x, last, constant_values=1) for x in xs]
