"""Learned modules (Flax NNX): encoders, fusion, projection, towers. They only store weights."""

from crossmodal_jax.nn._coupling import CouplingFlow as CouplingFlow
from crossmodal_jax.nn._encoder import MLPEncoder as MLPEncoder
from crossmodal_jax.nn._fusion import Gated as Gated
from crossmodal_jax.nn._fusion import WeightedSum as WeightedSum
from crossmodal_jax.nn._fusion_bilinear import Block as Block
from crossmodal_jax.nn._fusion_bilinear import CompactBilinear as CompactBilinear
from crossmodal_jax.nn._fusion_bilinear import Mfb as Mfb
from crossmodal_jax.nn._fusion_bilinear import Mfh as Mfh
from crossmodal_jax.nn._fusion_bilinear import Mlb as Mlb
from crossmodal_jax.nn._fusion_bilinear import Mutan as Mutan
from crossmodal_jax.nn._fusion_bilinear import Tucker as Tucker
from crossmodal_jax.nn._fusion_decisions import Stacking as Stacking
from crossmodal_jax.nn._fusion_decisions import Vcdn as Vcdn
from crossmodal_jax.nn._fusion_gates import AttentionalFeature as AttentionalFeature
from crossmodal_jax.nn._fusion_gates import AttentionWeighted as AttentionWeighted
from crossmodal_jax.nn._fusion_gates import ChannelGate as ChannelGate
from crossmodal_jax.nn._fusion_gates import DeepSets as DeepSets
from crossmodal_jax.nn._fusion_gates import Film as Film
from crossmodal_jax.nn._fusion_graph import BilinearAttention as BilinearAttention
from crossmodal_jax.nn._fusion_graph import GraphFusion as GraphFusion
from crossmodal_jax.nn._fusion_products import LowRank as LowRank
from crossmodal_jax.nn._fusion_products import (
    MultiplicativeInteraction as MultiplicativeInteraction,
)
from crossmodal_jax.nn._fusion_products import Polynomial as Polynomial
from crossmodal_jax.nn._fusion_products import TensorFusion as TensorFusion
from crossmodal_jax.nn._fusion_search import FusionCell as FusionCell
from crossmodal_jax.nn._fusion_tokens import Bottleneck as Bottleneck
from crossmodal_jax.nn._fusion_tokens import CrossAttention as CrossAttention
from crossmodal_jax.nn._fusion_tokens import EarlyTransformer as EarlyTransformer
from crossmodal_jax.nn._fusion_tokens import Mult as Mult
from crossmodal_jax.nn._fusion_tokens import Perceiver as Perceiver
from crossmodal_jax.nn._mlp import MLP as MLP
from crossmodal_jax.nn._projection import Projection as Projection
from crossmodal_jax.nn._two_tower import TwoTower as TwoTower
