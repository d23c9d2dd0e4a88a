"""What the transforms of any number of views share: linear variates and their mean."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_modalities, check_pairs, check_present, check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import zero_absent
from crossmodal_jax.transforms._transform import affine


class MultiviewCCA(NamedTuple):
    """Parameters of `generalized_cca`, `multiset_cca` and `tensor_cca`.

    Attributes:
      means: The mean of each view, shapes [d_m].
      kernels: The directions W_m of each view, shapes [d_m, k].
      strengths: How strongly the views share each coordinate, shape [k]; each transform says
        in what measure.
    """

    means: tuple[Float[Array, "_"], ...]
    kernels: tuple[Float[Array, "_ k"], ...]
    strengths: Float[Array, "k"]


def view_variates(
    params: MultiviewCCA, x: Float[ArrayLike, "*batch d"], *, view: int
) -> Float[Array, "*batch k"]:
    """Coordinates of one view in the space that all views share, (x − x̄) W.

    Args:
      params: What the `fit` of `generalized_cca`, `multiset_cca` or `tensor_cca` returned.
      x: Rows of that view, shape [*batch, d].
      view: Index of the view in the fit, from 0.

    Returns:
      The variates, shape [*batch, k].

    Raises:
      ValueError: If there is no such view, or x has another width than it.

    Examples:
      >>> import jax.numpy as jnp
      >>> from crossmodal_jax.transforms import multiset_cca
      >>> x = jnp.array([[1.0], [2.0], [3.0]])
      >>> params = multiset_cca(dim=1, l2=0.0).fit([x, -x, 5 * x])
      >>> z = [view_variates(params, s * x, view=m) for m, s in enumerate((1, -1, 5))]
      >>> print(jnp.allclose(z[0], z[1], atol=1e-4), jnp.allclose(z[0], z[2], atol=1e-4))
      True True
    """
    if not 0 <= view < len(params.means):
        raise ValueError(
            f"view_variates: `view` must be from 0 to {len(params.means) - 1}, one of the "
            f"fitted views, got {view}."
        )
    x = check_width("view_variates", "x", x, params.means[view].shape[0])
    return affine(x, params.means[view], params.kernels[view])


def mean_variates(
    name: str,
    params: MultiviewCCA,
    xs: Sequence[Float[ArrayLike, "..."]],
    present: Bool[ArrayLike, "..."] | None,
) -> Float[Array, "*batch k"]:
    """Mean of the variates of the views that are present, 0 where none is."""
    arrays = check_modalities(name, xs)
    if len(arrays) != len(params.means):
        raise ValueError(
            f"{name}: `xs` must hold the {len(params.means)} views of the fit, got "
            f"{len(arrays)}; give an absent view as zeros, with `present` False."
        )
    for m, (x, mean) in enumerate(zip(arrays, params.means, strict=True)):
        check_width(name, f"xs[{m}]", x, mean.shape[0])
    keep = check_present(name, present, arrays)
    total = jnp.zeros((), params.strengths.dtype)
    for m, x in enumerate(arrays):
        x = jnp.broadcast_to(x, (*keep.shape[:-1], x.shape[-1]))
        # Cleaned before the product, so that an absent payload reaches no gradient.
        clean = zero_absent(x, keep[..., m])
        variates = zero_absent(affine(clean, params.means[m], params.kernels[m]), keep[..., m])
        total = total.astype(variates.dtype) + variates
    number = jnp.maximum(jnp.sum(keep, axis=-1, keepdims=True), 1)
    return total / number.astype(total.dtype)


def check_views(
    name: str, xs: Sequence[Float[ArrayLike, "n _"]], y: ArrayLike | None, dim: int
) -> tuple[Array, ...]:
    """Returns the views of a fit in one dtype, or raises."""
    if y is not None:
        raise ValueError(
            f"{name}: `fit` must have all views in one sequence, got a second argument y; "
            "pass [x, y]."
        )
    arrays = check_modalities(name, xs)
    arrays = check_pairs(name, **{f"xs[{m}]": x for m, x in enumerate(arrays)})
    check_shared(name, [x.shape[1] for x in arrays], dim)
    dtype = functools.reduce(np.promote_types, [x.dtype for x in arrays], np.dtype(np.float32))
    return tuple(x.astype(dtype) for x in arrays)


def check_shared(name: str, widths: Sequence[int], dim: int) -> None:
    """Raises unless there are two views and `dim` is at most the smallest width."""
    if len(widths) < 2:
        raise ValueError(f"{name}: there must be at least two views, got {len(widths)}.")
    if not 1 <= dim <= min(widths):
        raise ValueError(
            f"{name}: `dim` must be between 1 and the smallest width, got dim={dim} for widths "
            f"{list(widths)}."
        )


def fix_signs(vectors: Float[Array, "d k"]) -> Float[Array, "k"]:
    """Signs that make the entry of largest magnitude in each column positive."""
    rows = jnp.argmax(jnp.abs(vectors), axis=0)
    largest = jnp.take_along_axis(vectors, rows[None], axis=0)[0]
    return jnp.where(largest < 0, -1, 1).astype(vectors.dtype)
