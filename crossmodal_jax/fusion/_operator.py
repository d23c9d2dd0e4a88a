"""The one shape of all operators, and the closed table of them."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike, PyTree
from crossmodal_jax.fusion._bottleneck import bottleneck, init_bottleneck
from crossmodal_jax.fusion._concat import concat
from crossmodal_jax.fusion._cross_attention import cross_attention, init_cross_attention
from crossmodal_jax.fusion._early_transformer import early_transformer, init_early_transformer
from crossmodal_jax.fusion._gated import gated, init_gated
from crossmodal_jax.fusion._inputs import check_dims
from crossmodal_jax.fusion._mean import mean
from crossmodal_jax.fusion._mult import init_mult, mult
from crossmodal_jax.fusion._perceiver import init_perceiver, perceiver
from crossmodal_jax.fusion._weighted import init_weighted_sum, weighted_sum


class Operator(NamedTuple):
    """A fusion operator as a pair of pure functions, the same for every member of `OPERATORS`.

    `init(key, dims, dim)` makes the weights for modalities of widths `dims` and a result of width
    `dim`; an operator without weights returns `()`. `apply(xs, weights, *, present=None)` fuses
    arrays [*batch, d_m] into one [*batch, width]. The width is `dim` unless the operator fixes it
    itself, as `concat` does; `jax.eval_shape(operator.apply, xs, weights)` tells it without
    computing anything.

    `kind` says what a modality is: `"vectors"`, features [*batch, d_m]; `"tokens"`, sequences
    [*batch, t_m, d_m]; `"distributions"`, Gaussians [*batch, 2d], mean before log-variance;
    `"decisions"`, one number per class [*batch, k].

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> xs = [jnp.ones((2, 3)), jnp.ones((2, 3))]
      >>> for name in ("concat", "gated"):
      ...     operator = OPERATORS[name]
      ...     weights = operator.init(jax.random.key(0), (3, 3), 4)
      ...     print(name, operator.kind, operator.apply(xs, weights).shape)
      concat vectors (2, 8)
      gated vectors (2, 4)
    """

    init: Callable[[Array, Sequence[int], int], PyTree]
    apply: Callable[..., Float[Array, "*batch width"]]
    kind: str = "vectors"


def _without_weights(name: str, function: Callable[..., Array], kind: str = "vectors") -> Operator:
    """Returns the operator whose weights are `()` and whose value is that of `function`."""

    def init(key: Array, dims: Sequence[int], dim: int) -> tuple[()]:
        del key  # nothing is drawn
        check_dims(name, dims, dim)
        return ()

    def apply(
        xs: Sequence[ArrayLike],
        weights: tuple[()],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch width"]:
        del weights  # none
        return function(xs, present=present)

    return Operator(init, apply, kind)


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "mean": _without_weights("mean", mean),
        "concat": _without_weights("concat", concat),
        "weighted_sum": Operator(init_weighted_sum, weighted_sum),
        "gated": Operator(init_gated, gated),
        "cross_attention": Operator(init_cross_attention, cross_attention, "tokens"),
        "early_transformer": Operator(init_early_transformer, early_transformer, "tokens"),
        "perceiver": Operator(init_perceiver, perceiver, "tokens"),
        "bottleneck": Operator(init_bottleneck, bottleneck, "tokens"),
        "mult": Operator(init_mult, mult, "tokens"),
    }
)
"""Every operator by name. Closed: a configuration names an entry and never an import path."""
