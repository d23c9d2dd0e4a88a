"""Fusion operators F(X): many modalities, any of them absent, into one representation."""

from crossmodal_jax.fusion._blocks import BlockWeights as BlockWeights
from crossmodal_jax.fusion._blocks import NormWeights as NormWeights
from crossmodal_jax.fusion._bottleneck import BottleneckWeights as BottleneckWeights
from crossmodal_jax.fusion._bottleneck import bottleneck as bottleneck
from crossmodal_jax.fusion._bottleneck import init_bottleneck as init_bottleneck
from crossmodal_jax.fusion._concat import concat as concat
from crossmodal_jax.fusion._cross_attention import CrossAttentionWeights as CrossAttentionWeights
from crossmodal_jax.fusion._cross_attention import cross_attention as cross_attention
from crossmodal_jax.fusion._cross_attention import cross_attention_tokens as cross_attention_tokens
from crossmodal_jax.fusion._cross_attention import init_cross_attention as init_cross_attention
from crossmodal_jax.fusion._early_transformer import (
    EarlyTransformerWeights as EarlyTransformerWeights,
)
from crossmodal_jax.fusion._early_transformer import early_transformer as early_transformer
from crossmodal_jax.fusion._early_transformer import (
    init_early_transformer as init_early_transformer,
)
from crossmodal_jax.fusion._gated import GatedWeights as GatedWeights
from crossmodal_jax.fusion._gated import gated as gated
from crossmodal_jax.fusion._gated import gated_weights as gated_weights
from crossmodal_jax.fusion._gated import init_gated as init_gated
from crossmodal_jax.fusion._mean import mean as mean
from crossmodal_jax.fusion._mult import MultWeights as MultWeights
from crossmodal_jax.fusion._mult import init_mult as init_mult
from crossmodal_jax.fusion._mult import mult as mult
from crossmodal_jax.fusion._operator import OPERATORS as OPERATORS
from crossmodal_jax.fusion._operator import Operator as Operator
from crossmodal_jax.fusion._perceiver import PerceiverWeights as PerceiverWeights
from crossmodal_jax.fusion._perceiver import init_perceiver as init_perceiver
from crossmodal_jax.fusion._perceiver import perceiver as perceiver
from crossmodal_jax.fusion._perceiver import perceiver_latents as perceiver_latents
from crossmodal_jax.fusion._weighted import WeightedSumWeights as WeightedSumWeights
from crossmodal_jax.fusion._weighted import init_weighted_sum as init_weighted_sum
from crossmodal_jax.fusion._weighted import weighted_sum as weighted_sum
