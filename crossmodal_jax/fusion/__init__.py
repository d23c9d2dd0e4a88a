"""Fusion operators F(X): many modalities, any of them absent, into one representation."""

from crossmodal_jax.fusion._block import BlockWeights as BlockWeights
from crossmodal_jax.fusion._block import block as block
from crossmodal_jax.fusion._block import init_block as init_block
from crossmodal_jax.fusion._compact_bilinear import CompactBilinearWeights as CompactBilinearWeights
from crossmodal_jax.fusion._compact_bilinear import compact_bilinear as compact_bilinear
from crossmodal_jax.fusion._compact_bilinear import (
    compact_bilinear_pooling as compact_bilinear_pooling,
)
from crossmodal_jax.fusion._compact_bilinear import count_sketch as count_sketch
from crossmodal_jax.fusion._compact_bilinear import init_compact_bilinear as init_compact_bilinear
from crossmodal_jax.fusion._concat import concat as concat
from crossmodal_jax.fusion._gated import GatedWeights as GatedWeights
from crossmodal_jax.fusion._gated import gated as gated
from crossmodal_jax.fusion._gated import gated_weights as gated_weights
from crossmodal_jax.fusion._gated import init_gated as init_gated
from crossmodal_jax.fusion._mean import mean as mean
from crossmodal_jax.fusion._mfb import MfbWeights as MfbWeights
from crossmodal_jax.fusion._mfb import MfhWeights as MfhWeights
from crossmodal_jax.fusion._mfb import init_mfb as init_mfb
from crossmodal_jax.fusion._mfb import init_mfh as init_mfh
from crossmodal_jax.fusion._mfb import mfb as mfb
from crossmodal_jax.fusion._mfb import mfh as mfh
from crossmodal_jax.fusion._mlb import MlbWeights as MlbWeights
from crossmodal_jax.fusion._mlb import init_mlb as init_mlb
from crossmodal_jax.fusion._mlb import mlb as mlb
from crossmodal_jax.fusion._operator import OPERATORS as OPERATORS
from crossmodal_jax.fusion._operator import Operator as Operator
from crossmodal_jax.fusion._tucker import MutanWeights as MutanWeights
from crossmodal_jax.fusion._tucker import TuckerWeights as TuckerWeights
from crossmodal_jax.fusion._tucker import init_mutan as init_mutan
from crossmodal_jax.fusion._tucker import init_tucker as init_tucker
from crossmodal_jax.fusion._tucker import mutan as mutan
from crossmodal_jax.fusion._tucker import tucker as tucker
from crossmodal_jax.fusion._weighted import WeightedSumWeights as WeightedSumWeights
from crossmodal_jax.fusion._weighted import init_weighted_sum as init_weighted_sum
from crossmodal_jax.fusion._weighted import weighted_sum as weighted_sum
