"""Fusion operators F(X): many modalities, any of them absent, into one representation."""

from crossmodal_jax.fusion._concat import concat as concat
from crossmodal_jax.fusion._gated import GatedWeights as GatedWeights
from crossmodal_jax.fusion._gated import gated as gated
from crossmodal_jax.fusion._gated import gated_weights as gated_weights
from crossmodal_jax.fusion._gated import init_gated as init_gated
from crossmodal_jax.fusion._mean import mean as mean
from crossmodal_jax.fusion._operator import OPERATORS as OPERATORS
from crossmodal_jax.fusion._operator import Operator as Operator
from crossmodal_jax.fusion._weighted import WeightedSumWeights as WeightedSumWeights
from crossmodal_jax.fusion._weighted import init_weighted_sum as init_weighted_sum
from crossmodal_jax.fusion._weighted import weighted_sum as weighted_sum
