"""Learned modules (Flax NNX): encoders, fusion, projection, towers. They only store weights."""

from crossmodal_jax.nn._encoder import MLPEncoder as MLPEncoder
from crossmodal_jax.nn._fusion import Gated as Gated
from crossmodal_jax.nn._fusion import WeightedSum as WeightedSum
from crossmodal_jax.nn._fusion_graph import BilinearAttention as BilinearAttention
from crossmodal_jax.nn._fusion_graph import GraphFusion as GraphFusion
from crossmodal_jax.nn._fusion_search import FusionCell as FusionCell
from crossmodal_jax.nn._projection import Projection as Projection
from crossmodal_jax.nn._two_tower import TwoTower as TwoTower
