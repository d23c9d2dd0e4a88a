"""Fusion operators F(X): many modalities, any of them absent, into one representation."""

from crossmodal_jax.fusion._bilinear_attention import (
    BilinearAttentionWeights as BilinearAttentionWeights,
)
from crossmodal_jax.fusion._bilinear_attention import bilinear_attention as bilinear_attention
from crossmodal_jax.fusion._bilinear_attention import (
    bilinear_attention_map as bilinear_attention_map,
)
from crossmodal_jax.fusion._bilinear_attention import (
    init_bilinear_attention as init_bilinear_attention,
)
from crossmodal_jax.fusion._concat import concat as concat
from crossmodal_jax.fusion._fusion_cell import CellLayer as CellLayer
from crossmodal_jax.fusion._fusion_cell import FusionCellWeights as FusionCellWeights
from crossmodal_jax.fusion._fusion_cell import fusion_cell as fusion_cell
from crossmodal_jax.fusion._fusion_cell import fusion_search_space as fusion_search_space
from crossmodal_jax.fusion._fusion_cell import init_fusion_cell as init_fusion_cell
from crossmodal_jax.fusion._gated import GatedWeights as GatedWeights
from crossmodal_jax.fusion._gated import gated as gated
from crossmodal_jax.fusion._gated import gated_weights as gated_weights
from crossmodal_jax.fusion._gated import init_gated as init_gated
from crossmodal_jax.fusion._graph_fusion import GraphFusionWeights as GraphFusionWeights
from crossmodal_jax.fusion._graph_fusion import graph_fusion as graph_fusion
from crossmodal_jax.fusion._graph_fusion import init_graph_fusion as init_graph_fusion
from crossmodal_jax.fusion._graph_fusion import knn_adjacency as knn_adjacency
from crossmodal_jax.fusion._mean import mean as mean
from crossmodal_jax.fusion._operator import OPERATORS as OPERATORS
from crossmodal_jax.fusion._operator import Operator as Operator
from crossmodal_jax.fusion._weighted import WeightedSumWeights as WeightedSumWeights
from crossmodal_jax.fusion._weighted import init_weighted_sum as init_weighted_sum
from crossmodal_jax.fusion._weighted import weighted_sum as weighted_sum
