"""Transforms one after another."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import zero_absent
from crossmodal_jax.transforms._transform import Transform


def chain(*parts: Transform) -> Transform:
    """The composition of transforms: T(x) = T_k(… T_2(T_1(x))).

    `fit(x, y, where)` fits the parts in turn, each with (its input, y, where), where the input
    of a part is what the fitted parts before it make of x. So a part of one view, such as `pca`
    or `whiten`, is fitted on its input alone, and a paired one, such as `ridge`, between its
    input and y. The parameters are the tuple of those of the parts, so that the covariance of
    the residual of a last part that predicts y is `params[-1].residual`.

    `inverse` undoes the parts from the last to the first, where all of them have one. There is
    no `solve`: a part before the last may be no linear map.

    Args:
      *parts: Transforms, one at least, the first one applied first.

    Returns:
      A `Transform` with a tuple of parameters.

    Raises:
      ValueError: If there are no parts.

    Examples:
      >>> import jax.numpy as jnp
      >>> from crossmodal_jax.transforms import pca, ridge
      >>> x = jnp.array([[3.0, 4.0], [-3.0, -4.0], [6.0, 8.0], [-6.0, -8.0]])
      >>> t = chain(pca(dim=1), ridge(l2=0.0))
      >>> params = t.fit(x, 2 * x + 1)
      >>> print(jnp.rint(t.apply(params, x[0])))
      [7. 9.]
    """
    if not parts:
        raise ValueError("chain: needs one transform at least, got none; pass them in order.")

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> tuple[Any, ...]:
        if where is not None:
            # Every later part sees images of dropped rows, which must be finite.
            x = zero_absent(x, check_where("chain", where, jnp.shape(x)[:1]))
        fitted = []
        for i, part in enumerate(parts):
            fitted.append(part.fit(x, y, where))
            if i < len(parts) - 1:
                x = part.apply(fitted[-1], x)
        return tuple(fitted)

    def apply(params: tuple[Any, ...], x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "..."]:
        for part, own in zip(parts, params, strict=True):
            x = part.apply(own, x)
        return jnp.asarray(x)

    def inverse(params: tuple[Any, ...], y: Float[ArrayLike, "*batch dy"]) -> Float[Array, "..."]:
        for undo, own in zip(reversed(inverses), reversed(params), strict=True):
            y = undo(own, y)
        return jnp.asarray(y)

    inverses = [part.inverse for part in parts if part.inverse is not None]
    invertible = len(inverses) == len(parts)
    return Transform(fit=fit, apply=apply, inverse=inverse if invertible else None, solve=None)
