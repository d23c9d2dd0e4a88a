"""Entropic optimal transport between two clouds of points."""

from crossmodal_jax.kernels.transport._api import sinkhorn as sinkhorn
from crossmodal_jax.kernels.transport._xla import Sinkhorn as Sinkhorn
