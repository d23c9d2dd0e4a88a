"""Learned modules (Flax NNX): encoders, fusion, projection, towers. They only store weights."""

from crossmodal_jax.nn._encoder import MLPEncoder as MLPEncoder
from crossmodal_jax.nn._fusion import Gated as Gated
from crossmodal_jax.nn._fusion import WeightedSum as WeightedSum
from crossmodal_jax.nn._fusion_tokens import Bottleneck as Bottleneck
from crossmodal_jax.nn._fusion_tokens import CrossAttention as CrossAttention
from crossmodal_jax.nn._fusion_tokens import EarlyTransformer as EarlyTransformer
from crossmodal_jax.nn._fusion_tokens import Mult as Mult
from crossmodal_jax.nn._fusion_tokens import Perceiver as Perceiver
from crossmodal_jax.nn._projection import Projection as Projection
from crossmodal_jax.nn._two_tower import TwoTower as TwoTower
