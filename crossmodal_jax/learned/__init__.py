"""Learned transforms Y = T(X), of the interface of the closed-form ones: fit, apply, inverse."""

from crossmodal_jax.learned._compose import Composed as Composed
from crossmodal_jax.learned._compose import compose as compose
from crossmodal_jax.learned._coupling import coupling_flow as coupling_flow
from crossmodal_jax.learned._coupling import flow_log_determinant as flow_log_determinant
from crossmodal_jax.learned._cycle import BothWays as BothWays
from crossmodal_jax.learned._cycle import cycle_consistent as cycle_consistent
from crossmodal_jax.learned._deep_cca import DeepCCA as DeepCCA
from crossmodal_jax.learned._deep_cca import deep_cca as deep_cca
from crossmodal_jax.learned._deep_cca import deep_variates as deep_variates
from crossmodal_jax.learned._factories import FACTORIES as FACTORIES
from crossmodal_jax.learned._flow_matching import Velocity as Velocity
from crossmodal_jax.learned._flow_matching import flow_matching as flow_matching
from crossmodal_jax.learned._learn import Batch as Batch
from crossmodal_jax.learned._learn import Learned as Learned
from crossmodal_jax.learned._learn import learn as learn
from crossmodal_jax.learned._mlp import Residual as Residual
from crossmodal_jax.learned._mlp import mlp as mlp
from crossmodal_jax.learned._mlp import residual as residual
from crossmodal_jax.learned._scale import Scale as Scale
from crossmodal_jax.learned._variational import Variational as Variational
from crossmodal_jax.learned._variational import Views as Views
from crossmodal_jax.learned._variational import complete_views as complete_views
from crossmodal_jax.learned._variational import variational as variational
