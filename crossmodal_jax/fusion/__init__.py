"""Fusion operators F(X): many modalities, any of them absent, into one representation."""

from crossmodal_jax.fusion._attention_weighted import (
    AttentionWeightedWeights as AttentionWeightedWeights,
)
from crossmodal_jax.fusion._attention_weighted import attention_weighted as attention_weighted
from crossmodal_jax.fusion._attention_weighted import attention_weights as attention_weights
from crossmodal_jax.fusion._attention_weighted import (
    init_attention_weighted as init_attention_weighted,
)
from crossmodal_jax.fusion._attentional_feature import (
    AttentionalFeatureWeights as AttentionalFeatureWeights,
)
from crossmodal_jax.fusion._attentional_feature import attentional_feature as attentional_feature
from crossmodal_jax.fusion._attentional_feature import (
    init_attentional_feature as init_attentional_feature,
)
from crossmodal_jax.fusion._channel_gate import ChannelGateWeights as ChannelGateWeights
from crossmodal_jax.fusion._channel_gate import channel_gate as channel_gate
from crossmodal_jax.fusion._channel_gate import init_channel_gate as init_channel_gate
from crossmodal_jax.fusion._concat import concat as concat
from crossmodal_jax.fusion._deep_sets import DeepSetsWeights as DeepSetsWeights
from crossmodal_jax.fusion._deep_sets import deep_sets as deep_sets
from crossmodal_jax.fusion._deep_sets import init_deep_sets as init_deep_sets
from crossmodal_jax.fusion._film import FilmWeights as FilmWeights
from crossmodal_jax.fusion._film import film as film
from crossmodal_jax.fusion._film import init_film as init_film
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
