"""Graph fusion: samples are nodes and learn from the samples that are like them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_choice, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import check_dims, clean_inputs, linear


class GraphFusionWeights(NamedTuple):
    """Weights of `graph_fusion`.

    Attributes:
      kernels: Linear map of each layer, the first of shape [Σ d_m + m, dim], then [dim, dim].
      biases: Bias of each layer, shape [l, dim].
    """

    kernels: tuple[Float[Array, "d_l dim"], ...]
    biases: Float[Array, "l dim"]


def init_graph_fusion(
    key: Array, dims: Sequence[int], dim: int, *, num_layers: int = 2
) -> GraphFusionWeights:
    """Initial weights of `graph_fusion`: random kernels, no biases.

    Entries have variance 2 / fan-in before a ramp, which halves the mean square, and 1 / fan-in
    in the last layer. A node without edges then keeps variance 1; a node that is averaged with
    independent neighbours has less.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result and of the layers before it.
      num_layers: Number of layers: how many edges away a node can see.

    Returns:
      Weights in float32: kernels of shapes [Σ d_m + m, dim], [dim, dim], … and biases
      [num_layers, dim].

    Raises:
      ValueError: If there is no modality, a width is not positive, or there is no layer.

    Examples:
      >>> import jax
      >>> weights = init_graph_fusion(jax.random.key(0), (3, 5), 4)
      >>> print([kernel.shape for kernel in weights.kernels], weights.biases.shape)
      [(10, 4), (4, 4)] (2, 4)
    """
    check_dims("graph_fusion", dims, dim)
    if num_layers < 1:
        raise ValueError(
            f"init_graph_fusion: `num_layers` must be at least 1, got {num_layers}; "
            "one layer is a linear map of each node and its neighbours."
        )
    widths = [sum(dims) + len(dims)] + [dim] * (num_layers - 1)
    gains = [2.0] * (num_layers - 1) + [1.0]
    keys = jax.random.split(key, num_layers)
    kernels = tuple(
        jax.random.normal(k, (width, dim), jnp.float32) * (gain / width) ** 0.5
        for k, width, gain in zip(keys, widths, gains, strict=True)
    )
    return GraphFusionWeights(kernels, jnp.zeros((num_layers, dim), jnp.float32))


def graph_fusion(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: GraphFusionWeights,
    adjacency: Float[ArrayLike, "*graphs n n"],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    activation: Callable[[Array], Array] = jax.nn.relu,
) -> Float[Array, "*graphs n dim"]:
    """Graph convolutions over samples, whose features are the masked concatenation.

    H₀ = [m₁x₁; …; m_M x_M; m] for every node, and Hₗ = σ(D̂^{-½} Â D̂^{-½} Hₗ₋₁ Wₗ + bₗ) with
    Â = A + I and D̂ the diagonal of its row sums; the last layer has no σ. The number of layers is
    that of the weights. The paper of the layer has no bias; that of graph fusion of modalities
    convolves each modality on a graph of its own, where here one graph carries all of them.

    By its definition a sample's result depends on the other samples of its graph. `OPERATORS`
    promises the opposite of each member, and none has a further array as argument: this function
    is therefore not in that table.

    Absence: an absent modality is zeros and an indicator of 0, as in `concat`. A node of which
    nothing is known still hears its neighbours; without edges it is σ(b₁) W₂ + b₂, as any other
    node of which nothing is known.

    Cost: (Σ d_m + M) · dim + (L − 1) · dim² + L · dim weights for L layers. A graph of n nodes
    takes 2n times the number of kernel entries plus 2 L n² dim FLOPs; temporaries are the
    concatenation, two arrays [n, dim], and A in the dtype of the inputs.

    Choose it when similarity of samples is known better than their labels: few labelled samples
    among many, as in patient graphs. All nodes must be at hand at once, those to predict included.

    Args:
      xs: One array per modality, shapes [*graphs, n, d_m]; row i of each is node i.
      weights: Kernels Wₗ and biases bₗ [l, dim], as made by `init_graph_fusion`.
      adjacency: The weights A ≥ 0 of the edges, shape [*graphs, n, n], symmetric for the
        normalisation to be so; see `knn_adjacency`. Self-loops are added here.
      present: True where a sample has the modality, a shape that broadcasts to [*graphs, n, m];
        None if all are present.
      activation: σ between the layers.

    Returns:
      The representation of every node, shape [*graphs, n, dim], in the dtype of the inputs.
      Products and degrees add up in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights`, `adjacency` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> weights = GraphFusionWeights((jnp.ones((2, 1)),), jnp.zeros((1, 1)))
      >>> x = jnp.array([[1.0], [3.0], [7.0]])
      >>> edges = jnp.array([[0.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
      >>> print(graph_fusion([x], weights, edges)[:, 0])
      [3.5 2.5 8. ]

    References:
      Kipf and Welling, `Semi-Supervised Classification with Graph Convolutional Networks
      <https://arxiv.org/abs/1609.02907>`_, 2017, Eq. 2.

      Wang et al., `MOGONET integrates multi-omics data using graph convolutional networks
      <https://doi.org/10.1038/s41467-021-23774-w>`_, Nature Communications, 2021.
    """
    xs, mask = clean_inputs("graph_fusion", xs, present)
    dtype = xs[0].dtype
    nodes = jnp.concatenate([*xs, mask.astype(dtype)], axis=-1)
    edges = _check_graph(nodes, weights, adjacency)
    degrees = 1 + jnp.sum(edges, axis=-1, dtype=np.promote_types(edges.dtype, jnp.float32))
    # At least 1 by the self-loop, so that a node without edges divides by no zero.
    scale = jax.lax.rsqrt(degrees.astype(np.promote_types(dtype, jnp.float32)))[..., None]
    edges = edges.astype(dtype)

    def layer(h: Array, kernel: Array, bias: Array) -> Array:
        message = (scale * linear(h.astype(dtype), kernel)).astype(dtype)
        # (A + I) h without the sum in memory.
        received = jnp.matmul(edges, message, preferred_element_type=scale.dtype)
        received = received + message.astype(scale.dtype)
        return scale * received + bias.astype(scale.dtype)

    for kernel, bias in zip(weights.kernels[:-1], weights.biases[:-1], strict=True):
        nodes = activation(layer(nodes, kernel, bias))
    return layer(nodes, weights.kernels[-1], weights.biases[-1]).astype(dtype)


def knn_adjacency(
    x: Float[ArrayLike, "n d"],
    *,
    k: int,
    where: Bool[ArrayLike, "n"] | None = None,
    metric: str = "cosine",
) -> Float[Array, "n n"]:
    """Symmetric graph that joins every sample to the k samples most like it.

    Aᵢⱼ = 1 if j is among the k nearest of i or i among those of j, else 0; Aᵢᵢ = 0. Of equally
    near samples the first in order is taken; a zero vector has cosine 0 with every other. A sample
    joins all others where these are fewer than k. Nothing is differentiable here: gradients with
    respect to `x` are 0.

    Absence: a dropped sample has no edge, and the graph of the others is as if it were not there.

    Cost: 2 n² d FLOPs and a selection of k among n for each row; temporaries are two arrays [n, n].

    Choose it to make the graph of `graph_fusion` from one modality, for up to some 10⁴ samples.

    Args:
      x: Features of the samples in one modality, shape [n, d].
      k: Number of neighbours that each sample chooses; it may be chosen by more.
      where: Samples to keep, shape [n]; as a rule the presence of the modality.
      metric: `"cosine"`, the largest cosine similarity, or `"euclidean"`, the least distance.

    Returns:
      The adjacency, shape [n, n], in the dtype of `x`; compared in float32 at least.

    Raises:
      ValueError: If `x` is no matrix, `k` is below 1, `where` has another shape or `metric` is
        unknown.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [jnp.nan, 0.0]])
      >>> print(knn_adjacency(x, k=1, where=jnp.array([True, True, True, False])))
      [[0. 1. 0. 0.]
       [1. 0. 1. 0.]
       [0. 1. 0. 0.]
       [0. 0. 0. 0.]]

    References:
      Wang et al., `MOGONET integrates multi-omics data using graph convolutional networks
      <https://doi.org/10.1038/s41467-021-23774-w>`_, Nature Communications, 2021; there an edge is
      a cosine similarity above a threshold.
    """
    check_choice("knn_adjacency", "metric", metric, ("cosine", "euclidean"))
    x = jnp.asarray(x)
    if x.ndim != 2 or k < 1:
        raise ValueError(
            "knn_adjacency: `x` must be a matrix [n, d] and `k` must be at least 1, got "
            f"x.shape={x.shape} and k={k}; use jax.vmap over several graphs."
        )
    keep = check_where("knn_adjacency", where, x.shape[:1])
    n, dtype = x.shape[0], x.dtype
    x = numerics.zero_absent(x, keep)
    x = x.astype(np.promote_types(dtype, jnp.float32))
    if metric == "cosine":
        x = numerics.normalize(x)
        scores = numerics.dot_scores(x, x, precision="highest")
    else:
        scores = -numerics.squared_distances(x, x)
    eligible = keep[:, None] & keep[None, :] & ~jnp.eye(n, dtype=bool)
    best, nearest = jax.lax.top_k(jnp.where(eligible, scores, -jnp.inf), min(k, n))
    chosen = jnp.zeros((n, n), bool).at[jnp.arange(n)[:, None], nearest].set(best > -jnp.inf)
    return (chosen | chosen.T).astype(dtype)


def _check_graph(nodes: Array, weights: GraphFusionWeights, adjacency: ArrayLike) -> Array:
    """Returns the adjacency, which must fit nodes [*graphs, n, width], as must the weights."""
    edges = jnp.asarray(adjacency)
    size = nodes.shape[-2:-1]
    if len(size) == 0 or edges.shape[-2:] != 2 * size or edges.shape[:-2] != nodes.shape[:-2]:
        raise ValueError(
            "graph_fusion: modalities must be [*graphs, n, d_m] and `adjacency` [*graphs, n, n], "
            f"got adjacency.shape={edges.shape} for nodes of shape {nodes.shape[:-1]}; "
            "it has one row and one column per sample."
        )
    shapes = [kernel.shape for kernel in weights.kernels]
    widths = [nodes.shape[-1], *(shape[-1] for shape in shapes)]
    # What each layer gives is what the next one takes.
    if [shape[0] for shape in shapes] != widths[:-1] or len(shapes) != len(weights.biases):
        raise ValueError(
            "graph_fusion: `weights` must have kernels [Σ d_m + m, dim], [dim, dim], … and a bias "
            f"for each, got kernels {shapes} and biases {weights.biases.shape} for features of "
            f"width {nodes.shape[-1]}; make them with init_graph_fusion(key, dims, dim)."
        )
    return edges
