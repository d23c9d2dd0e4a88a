"""The one shape of all operators, and the closed table of them."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike, PyTree
from crossmodal_jax.fusion._attention_weighted import attention_weighted, init_attention_weighted
from crossmodal_jax.fusion._attentional_feature import attentional_feature, init_attentional_feature
from crossmodal_jax.fusion._bilinear_attention import bilinear_attention, init_bilinear_attention
from crossmodal_jax.fusion._block import block, init_block
from crossmodal_jax.fusion._bottleneck import bottleneck, init_bottleneck
from crossmodal_jax.fusion._channel_gate import channel_gate, init_channel_gate
from crossmodal_jax.fusion._compact_bilinear import compact_bilinear, init_compact_bilinear
from crossmodal_jax.fusion._concat import concat
from crossmodal_jax.fusion._cross_attention import cross_attention, init_cross_attention
from crossmodal_jax.fusion._deep_sets import deep_sets, init_deep_sets
from crossmodal_jax.fusion._early_transformer import early_transformer, init_early_transformer
from crossmodal_jax.fusion._evidential import evidential
from crossmodal_jax.fusion._experts import (
    mixture_of_experts,
    mopoe,
    over_arrays,
    product_of_experts,
)
from crossmodal_jax.fusion._film import film, init_film
from crossmodal_jax.fusion._gated import gated, init_gated
from crossmodal_jax.fusion._gaussian import Gaussian, GaussianMixture
from crossmodal_jax.fusion._inputs import check_dims
from crossmodal_jax.fusion._late import late_mean, late_product, late_vote
from crossmodal_jax.fusion._low_rank import init_low_rank, low_rank
from crossmodal_jax.fusion._mean import mean
from crossmodal_jax.fusion._mfb import init_mfb, init_mfh, mfb, mfh
from crossmodal_jax.fusion._mlb import init_mlb, mlb
from crossmodal_jax.fusion._mult import init_mult, mult
from crossmodal_jax.fusion._multiplicative_interaction import (
    init_multiplicative_interaction,
    multiplicative_interaction,
)
from crossmodal_jax.fusion._perceiver import init_perceiver, perceiver
from crossmodal_jax.fusion._polynomial import init_polynomial, polynomial
from crossmodal_jax.fusion._product import product
from crossmodal_jax.fusion._stacking import init_stacking, stacking
from crossmodal_jax.fusion._tensor_fusion import init_tensor_fusion, tensor_fusion
from crossmodal_jax.fusion._tucker import init_mutan, init_tucker, mutan, tucker
from crossmodal_jax.fusion._vcdn import init_vcdn, vcdn
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


def _of_experts(name: str, function: Callable[..., Gaussian | GaussianMixture]) -> Operator:
    """Returns the operator that takes and gives Gaussians as arrays."""
    return _without_weights(name, over_arrays(name, function), "distributions")


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "mean": _without_weights("mean", mean),
        "product": _without_weights("product", product),
        "concat": _without_weights("concat", concat),
        "weighted_sum": Operator(init_weighted_sum, weighted_sum),
        "gated": Operator(init_gated, gated),
        "attention_weighted": Operator(init_attention_weighted, attention_weighted),
        "deep_sets": Operator(init_deep_sets, deep_sets),
        "film": Operator(init_film, film),
        "channel_gate": Operator(init_channel_gate, channel_gate),
        "attentional_feature": Operator(init_attentional_feature, attentional_feature),
        "product_of_experts": _of_experts("product_of_experts", product_of_experts),
        "mixture_of_experts": _of_experts("mixture_of_experts", mixture_of_experts),
        "mopoe": _of_experts("mopoe", mopoe),
        "late_mean": _without_weights("late_mean", late_mean, "decisions"),
        "late_product": _without_weights("late_product", late_product, "decisions"),
        "late_vote": _without_weights("late_vote", late_vote, "decisions"),
        "evidential": _without_weights("evidential", evidential, "decisions"),
        "stacking": Operator(init_stacking, stacking, "decisions"),
        "vcdn": Operator(init_vcdn, vcdn, "decisions"),
        "multiplicative_interaction": Operator(
            init_multiplicative_interaction, multiplicative_interaction
        ),
        "tensor_fusion": Operator(init_tensor_fusion, tensor_fusion),
        "low_rank": Operator(init_low_rank, low_rank),
        "polynomial": Operator(init_polynomial, polynomial),
        "bilinear_attention": Operator(init_bilinear_attention, bilinear_attention, "tokens"),
        "compact_bilinear": Operator(init_compact_bilinear, compact_bilinear),
        "mlb": Operator(init_mlb, mlb),
        "mfb": Operator(init_mfb, mfb),
        "mfh": Operator(init_mfh, mfh),
        "tucker": Operator(init_tucker, tucker),
        "mutan": Operator(init_mutan, mutan),
        "block": Operator(init_block, block),
        "cross_attention": Operator(init_cross_attention, cross_attention, "tokens"),
        "early_transformer": Operator(init_early_transformer, early_transformer, "tokens"),
        "perceiver": Operator(init_perceiver, perceiver, "tokens"),
        "bottleneck": Operator(init_bottleneck, bottleneck, "tokens"),
        "mult": Operator(init_mult, mult, "tokens"),
    }
)
"""Every operator by name. Closed: a configuration names an entry and never an import path."""
