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
from crossmodal_jax.fusion._block import BlockWeights as BlockWeights
from crossmodal_jax.fusion._block import block as block
from crossmodal_jax.fusion._block import init_block as init_block
from crossmodal_jax.fusion._bottleneck import BottleneckWeights as BottleneckWeights
from crossmodal_jax.fusion._bottleneck import bottleneck as bottleneck
from crossmodal_jax.fusion._bottleneck import init_bottleneck as init_bottleneck
from crossmodal_jax.fusion._channel_gate import ChannelGateWeights as ChannelGateWeights
from crossmodal_jax.fusion._channel_gate import channel_gate as channel_gate
from crossmodal_jax.fusion._channel_gate import init_channel_gate as init_channel_gate
from crossmodal_jax.fusion._compact_bilinear import CompactBilinearWeights as CompactBilinearWeights
from crossmodal_jax.fusion._compact_bilinear import compact_bilinear as compact_bilinear
from crossmodal_jax.fusion._compact_bilinear import (
    compact_bilinear_pooling as compact_bilinear_pooling,
)
from crossmodal_jax.fusion._compact_bilinear import count_sketch as count_sketch
from crossmodal_jax.fusion._compact_bilinear import init_compact_bilinear as init_compact_bilinear
from crossmodal_jax.fusion._concat import concat as concat
from crossmodal_jax.fusion._cross_attention import CrossAttentionWeights as CrossAttentionWeights
from crossmodal_jax.fusion._cross_attention import cross_attention as cross_attention
from crossmodal_jax.fusion._cross_attention import cross_attention_tokens as cross_attention_tokens
from crossmodal_jax.fusion._cross_attention import init_cross_attention as init_cross_attention
from crossmodal_jax.fusion._deep_sets import DeepSetsWeights as DeepSetsWeights
from crossmodal_jax.fusion._deep_sets import deep_sets as deep_sets
from crossmodal_jax.fusion._deep_sets import init_deep_sets as init_deep_sets
from crossmodal_jax.fusion._early_transformer import (
    EarlyTransformerWeights as EarlyTransformerWeights,
)
from crossmodal_jax.fusion._early_transformer import early_transformer as early_transformer
from crossmodal_jax.fusion._early_transformer import (
    init_early_transformer as init_early_transformer,
)
from crossmodal_jax.fusion._evidential import Opinion as Opinion
from crossmodal_jax.fusion._evidential import evidential as evidential
from crossmodal_jax.fusion._evidential import opinion as opinion
from crossmodal_jax.fusion._experts import mixture_of_experts as mixture_of_experts
from crossmodal_jax.fusion._experts import mopoe as mopoe
from crossmodal_jax.fusion._experts import product_of_experts as product_of_experts
from crossmodal_jax.fusion._film import FilmWeights as FilmWeights
from crossmodal_jax.fusion._film import film as film
from crossmodal_jax.fusion._film import init_film as init_film
from crossmodal_jax.fusion._fusion_cell import CellLayer as CellLayer
from crossmodal_jax.fusion._fusion_cell import FusionCellWeights as FusionCellWeights
from crossmodal_jax.fusion._fusion_cell import fusion_cell as fusion_cell
from crossmodal_jax.fusion._fusion_cell import fusion_search_space as fusion_search_space
from crossmodal_jax.fusion._fusion_cell import init_fusion_cell as init_fusion_cell
from crossmodal_jax.fusion._gated import GatedWeights as GatedWeights
from crossmodal_jax.fusion._gated import gated as gated
from crossmodal_jax.fusion._gated import gated_weights as gated_weights
from crossmodal_jax.fusion._gated import init_gated as init_gated
from crossmodal_jax.fusion._gaussian import Gaussian as Gaussian
from crossmodal_jax.fusion._gaussian import GaussianMixture as GaussianMixture
from crossmodal_jax.fusion._gaussian import mixture_log_density as mixture_log_density
from crossmodal_jax.fusion._gaussian import mixture_moments as mixture_moments
from crossmodal_jax.fusion._gaussian import sample_gaussian as sample_gaussian
from crossmodal_jax.fusion._gaussian import sample_mixture as sample_mixture
from crossmodal_jax.fusion._graph_fusion import GraphFusionWeights as GraphFusionWeights
from crossmodal_jax.fusion._graph_fusion import graph_fusion as graph_fusion
from crossmodal_jax.fusion._graph_fusion import init_graph_fusion as init_graph_fusion
from crossmodal_jax.fusion._graph_fusion import knn_adjacency as knn_adjacency
from crossmodal_jax.fusion._late import late_mean as late_mean
from crossmodal_jax.fusion._late import late_product as late_product
from crossmodal_jax.fusion._late import late_vote as late_vote
from crossmodal_jax.fusion._low_rank import LowRankWeights as LowRankWeights
from crossmodal_jax.fusion._low_rank import init_low_rank as init_low_rank
from crossmodal_jax.fusion._low_rank import low_rank as low_rank
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
from crossmodal_jax.fusion._mult import MultWeights as MultWeights
from crossmodal_jax.fusion._mult import init_mult as init_mult
from crossmodal_jax.fusion._mult import mult as mult
from crossmodal_jax.fusion._multiplicative_interaction import (
    MatrixInteractionWeights as MatrixInteractionWeights,
)
from crossmodal_jax.fusion._multiplicative_interaction import (
    VectorInteractionWeights as VectorInteractionWeights,
)
from crossmodal_jax.fusion._multiplicative_interaction import (
    init_multiplicative_interaction as init_multiplicative_interaction,
)
from crossmodal_jax.fusion._multiplicative_interaction import (
    multiplicative_interaction as multiplicative_interaction,
)
from crossmodal_jax.fusion._operator import OPERATORS as OPERATORS
from crossmodal_jax.fusion._operator import Operator as Operator
from crossmodal_jax.fusion._perceiver import PerceiverWeights as PerceiverWeights
from crossmodal_jax.fusion._perceiver import init_perceiver as init_perceiver
from crossmodal_jax.fusion._perceiver import perceiver as perceiver
from crossmodal_jax.fusion._perceiver import perceiver_latents as perceiver_latents
from crossmodal_jax.fusion._polynomial import PolynomialWeights as PolynomialWeights
from crossmodal_jax.fusion._polynomial import init_polynomial as init_polynomial
from crossmodal_jax.fusion._polynomial import polynomial as polynomial
from crossmodal_jax.fusion._product import product as product
from crossmodal_jax.fusion._stacking import StackingWeights as StackingWeights
from crossmodal_jax.fusion._stacking import init_stacking as init_stacking
from crossmodal_jax.fusion._stacking import stacking as stacking
from crossmodal_jax.fusion._tensor_fusion import TensorFusionWeights as TensorFusionWeights
from crossmodal_jax.fusion._tensor_fusion import init_tensor_fusion as init_tensor_fusion
from crossmodal_jax.fusion._tensor_fusion import outer_product as outer_product
from crossmodal_jax.fusion._tensor_fusion import tensor_fusion as tensor_fusion
from crossmodal_jax.fusion._transformer import NormWeights as NormWeights
from crossmodal_jax.fusion._transformer import (
    TransformerBlockWeights as TransformerBlockWeights,
)
from crossmodal_jax.fusion._translator import TranslatorWeights as TranslatorWeights
from crossmodal_jax.fusion._translator import init_translator as init_translator
from crossmodal_jax.fusion._translator import translator as translator
from crossmodal_jax.fusion._tucker import MutanWeights as MutanWeights
from crossmodal_jax.fusion._tucker import TuckerWeights as TuckerWeights
from crossmodal_jax.fusion._tucker import init_mutan as init_mutan
from crossmodal_jax.fusion._tucker import init_tucker as init_tucker
from crossmodal_jax.fusion._tucker import mutan as mutan
from crossmodal_jax.fusion._tucker import tucker as tucker
from crossmodal_jax.fusion._vcdn import VcdnWeights as VcdnWeights
from crossmodal_jax.fusion._vcdn import init_vcdn as init_vcdn
from crossmodal_jax.fusion._vcdn import vcdn as vcdn
from crossmodal_jax.fusion._weighted import WeightedSumWeights as WeightedSumWeights
from crossmodal_jax.fusion._weighted import init_weighted_sum as init_weighted_sum
from crossmodal_jax.fusion._weighted import weighted_sum as weighted_sum
