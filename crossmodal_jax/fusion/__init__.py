"""Fusion operators F(X): many modalities, any of them absent, into one representation."""

from crossmodal_jax.fusion._concat import concat as concat
from crossmodal_jax.fusion._gated import GatedWeights as GatedWeights
from crossmodal_jax.fusion._gated import gated as gated
from crossmodal_jax.fusion._gated import gated_weights as gated_weights
from crossmodal_jax.fusion._gated import init_gated as init_gated
from crossmodal_jax.fusion._low_rank import LowRankWeights as LowRankWeights
from crossmodal_jax.fusion._low_rank import init_low_rank as init_low_rank
from crossmodal_jax.fusion._low_rank import low_rank as low_rank
from crossmodal_jax.fusion._mean import mean as mean
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
from crossmodal_jax.fusion._polynomial import PolynomialWeights as PolynomialWeights
from crossmodal_jax.fusion._polynomial import init_polynomial as init_polynomial
from crossmodal_jax.fusion._polynomial import polynomial as polynomial
from crossmodal_jax.fusion._tensor_fusion import TensorFusionWeights as TensorFusionWeights
from crossmodal_jax.fusion._tensor_fusion import init_tensor_fusion as init_tensor_fusion
from crossmodal_jax.fusion._tensor_fusion import outer_product as outer_product
from crossmodal_jax.fusion._tensor_fusion import tensor_fusion as tensor_fusion
from crossmodal_jax.fusion._weighted import WeightedSumWeights as WeightedSumWeights
from crossmodal_jax.fusion._weighted import init_weighted_sum as init_weighted_sum
from crossmodal_jax.fusion._weighted import weighted_sum as weighted_sum
