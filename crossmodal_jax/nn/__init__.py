"""Learned modules (Flax NNX): encoders, fusion, projection, towers. They only store weights."""

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
from crossmodal_jax.nn._projection import Projection as Projection
from crossmodal_jax.nn._two_tower import TwoTower as TwoTower
