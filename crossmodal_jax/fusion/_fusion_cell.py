"""Fusion of intermediate layers, in an architecture that is searched for."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_choice
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import check_dims, clean_inputs, linear

# By name, so that a configuration can hold an architecture.
_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh}
)


class CellLayer(NamedTuple):
    """One layer of a `fusion_cell`: plain Python values, no arrays.

    Attributes:
      features: For each modality, the index of the feature layer that is read.
      activation: `"relu"`, `"sigmoid"` or `"tanh"`.
    """

    features: tuple[int, ...]
    activation: str = "relu"


class FusionCellWeights(NamedTuple):
    """Weights of `fusion_cell`.

    Attributes:
      kernels: Linear map of each layer, shapes [Σ d_m + m (+ dim after the first), dim].
      biases: Bias of each layer, shape [l, dim].
    """

    kernels: tuple[Float[Array, "d_l dim"], ...]
    biases: Float[Array, "l dim"]


def fusion_search_space(
    num_features: Sequence[int], *, activations: Sequence[str] = ("relu", "sigmoid")
) -> list[CellLayer]:
    """Every layer that a `fusion_cell` can have, the activation varying fastest.

    A cell of L layers is a tuple of L of them, so there are (A · Π num_features)^L cells. The paper
    goes through them layer by layer: it trains cells of one layer, extends the best by every
    layer, and so on, with a surrogate that predicts which extensions deserve training. The loop is
    the caller's; `training.sweep` trains one cell with many seeds or learning rates at once.

    Args:
      num_features: Number of feature layers of each modality.
      activations: Activations to try, of `"relu"`, `"sigmoid"` and `"tanh"`.

    Returns:
      The layers, A · Π num_features of them.

    Raises:
      ValueError: If a modality has no feature layer or an activation is unknown.

    Examples:
      >>> for layer in fusion_search_space((1, 2), activations=("relu",)):
      ...     print(layer)
      CellLayer(features=(0, 0), activation='relu')
      CellLayer(features=(0, 1), activation='relu')
    """
    if len(num_features) == 0 or min(num_features) < 1:
        raise ValueError(
            "fusion_search_space: `num_features` must be at least 1 for every modality, got "
            f"{tuple(num_features)}; count the lists of features."
        )
    for activation in activations:
        check_choice("fusion_search_space", "activations", activation, _ACTIVATIONS)
    choices = itertools.product(*map(range, num_features))
    return [CellLayer(*pair) for pair in itertools.product(choices, activations)]


def init_fusion_cell(
    key: Array, dims: Sequence[Sequence[int]], dim: int, *, layers: Sequence[CellLayer]
) -> FusionCellWeights:
    """Initial weights of `fusion_cell`: kernels of variance 2 / fan-in, no biases.

    With relu every layer then keeps the mean square of its inputs; sigmoid and tanh bound it.

    Args:
      key: Random key.
      dims: For each modality, the widths of its feature layers.
      dim: Width of the result and of every layer.
      layers: The architecture, first layer first.

    Returns:
      Weights in float32: kernels of shapes [Σ d_m + m, dim] for the first layer, with d_m the width
      of the chosen features, [Σ d_m + m + dim, dim] for the others, and biases [l, dim].

    Raises:
      ValueError: If a width is not positive, or a layer chooses features that are not there.

    Examples:
      >>> import jax
      >>> layers = (CellLayer((0, 1)), CellLayer((1, 1), "tanh"))
      >>> weights = init_fusion_cell(jax.random.key(0), ((3, 5), (2, 4)), 6, layers=layers)
      >>> print([kernel.shape for kernel in weights.kernels])
      [(9, 6), (17, 6)]
    """
    check_dims("fusion_cell", [d for widths in dims for d in widths], dim)
    _check_layers("init_fusion_cell", [len(widths) for widths in dims], layers)
    kernels = []
    for depth, (layer, k) in enumerate(
        zip(layers, jax.random.split(key, len(layers)), strict=True)
    ):
        chosen = sum(widths[a] for widths, a in zip(dims, layer.features, strict=True))
        fan_in = chosen + len(dims) + (dim if depth else 0)
        kernels.append(jax.random.normal(k, (fan_in, dim), jnp.float32) * (2 / fan_in) ** 0.5)
    return FusionCellWeights(tuple(kernels), jnp.zeros((len(layers), dim), jnp.float32))


def fusion_cell(
    features: Sequence[Sequence[Float[ArrayLike, "..."]]],
    weights: FusionCellWeights,
    *,
    layers: Sequence[CellLayer],
    present: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch dim"]:
    """Fusion of chosen layers of the networks of the modalities (a cell of MFAS).

    hₗ = actₗ(Wₗ [x₁^{(a_l1)}; …; x_M^{(a_lM)}; m; hₗ₋₁] + bₗ), where xᵢ^{(a)} is feature layer a of
    modality i, zeros if it is absent, and m the presence; h₀ is empty and z = h_L. The paper has
    two modalities and no presence.

    Absence: an absent modality is zeros and an indicator of 0, in every layer. All absent: what the
    biases and activations alone give, the same for every sample.

    Cost: Σₗ (Σᵢ dᵢ + M + dim) · dim + L · dim weights, in the first layer without the inner dim;
    2 FLOPs for each entry of a kernel and sample; temporaries are one concatenation and [dim].

    Choose it when the modalities have deep networks of their own and it is open which of their
    layers should meet; with one feature layer each, it is an ordinary network on `concat`.

    Args:
      features: For each modality, its feature layers, arrays of shapes [*batch, d]; the batch axes
        broadcast. Pool or flatten feature maps first.
      weights: Kernels and biases, as made by `init_fusion_cell` for the same `layers`.
      layers: The architecture, first layer first; static.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m]; None
        if all are present.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs. Products add up in
      float32 at least.

    Raises:
      ValueError: If `layers` choose features that are not there, or the shapes of the features,
        `weights` or `present` disagree.
      TypeError: If features are not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> features = [[jnp.array([1.0]), jnp.array([2.0])], [jnp.array([5.0])]]
      >>> weights = FusionCellWeights((jnp.ones((4, 1)), jnp.ones((5, 1))), jnp.zeros((2, 1)))
      >>> layers = (CellLayer((0, 0)), CellLayer((1, 0)))
      >>> print(fusion_cell(features, weights, layers=layers))
      [17.]

    References:
      Pérez-Rúa et al., `MFAS: Multimodal Fusion Architecture Search
      <https://arxiv.org/abs/1903.06496>`_, 2019.
    """
    _check_layers("fusion_cell", [len(arrays) for arrays in features], layers)
    if not len(layers) == len(weights.kernels) == len(weights.biases):
        raise ValueError(
            "fusion_cell: `weights` must have one kernel and one bias per layer, got "
            f"{len(weights.kernels)} and {len(weights.biases)} for {len(layers)} layers; "
            "make them with init_fusion_cell(key, dims, dim, layers=layers)."
        )
    previous: list[Array] = []
    for layer, kernel, bias in zip(layers, weights.kernels, weights.biases, strict=True):
        chosen = [arrays[a] for arrays, a in zip(features, layer.features, strict=True)]
        xs, mask = clean_inputs("fusion_cell", chosen, present)
        dtype = xs[0].dtype
        parts = [*xs, mask, *previous]
        joint = jnp.concatenate([part.astype(dtype) for part in parts], axis=-1)
        if kernel.shape[0] != joint.shape[-1]:
            raise ValueError(
                "fusion_cell: `weights` must have kernels [Σ d_m + m (+ dim), dim] for the chosen "
                f"features, got {kernel.shape} for {joint.shape[-1]} inputs of {layer}; "
                "make them with init_fusion_cell(key, dims, dim, layers=layers)."
            )
        hidden = linear(joint, kernel)
        hidden = _ACTIVATIONS[layer.activation](hidden + bias.astype(hidden.dtype))
        previous = [hidden.astype(dtype)]
    return previous[0]


def _check_layers(name: str, num_features: Sequence[int], layers: Sequence[CellLayer]) -> None:
    """Raises a ValueError unless every layer chooses one feature layer of each modality."""
    for layer in layers:
        check_choice(name, "activation", layer.activation, _ACTIVATIONS)
    fits = [
        len(layer.features) == len(num_features)
        and all(0 <= a < num for a, num in zip(layer.features, num_features, strict=True))
        for layer in layers
    ]
    if len(layers) == 0 or not all(fits):
        got = [tuple(layer.features) for layer, fit in zip(layers, fits, strict=True) if not fit]
        raise ValueError(
            f"{name}: `layers` must choose one feature layer of each modality, got "
            f"{got or 'no layer'} for {list(num_features)} feature layers; "
            "fusion_search_space lists what there is to choose from."
        )
