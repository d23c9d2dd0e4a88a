"""Learned transforms Y = T(X), of the interface of the closed-form ones: fit, apply, inverse."""

from crossmodal_jax.learned._coupling import coupling_flow as coupling_flow
from crossmodal_jax.learned._coupling import flow_log_determinant as flow_log_determinant
from crossmodal_jax.learned._cycle import BothWays as BothWays
from crossmodal_jax.learned._cycle import cycle_consistent as cycle_consistent
from crossmodal_jax.learned._factories import FACTORIES as FACTORIES
from crossmodal_jax.learned._learn import Batch as Batch
from crossmodal_jax.learned._learn import Learned as Learned
from crossmodal_jax.learned._learn import learn as learn
from crossmodal_jax.learned._mlp import Residual as Residual
from crossmodal_jax.learned._mlp import mlp as mlp
from crossmodal_jax.learned._mlp import residual as residual
from crossmodal_jax.learned._scale import Scale as Scale
