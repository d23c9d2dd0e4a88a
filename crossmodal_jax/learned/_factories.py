"""The closed table of learned transforms, by name."""

from collections.abc import Callable

from crossmodal_jax.learned._coupling import coupling_flow
from crossmodal_jax.learned._cycle import cycle_consistent
from crossmodal_jax.learned._deep_cca import deep_cca
from crossmodal_jax.learned._flow_matching import flow_matching
from crossmodal_jax.learned._mlp import mlp, residual
from crossmodal_jax.learned._variational import variational
from crossmodal_jax.transforms import Transform

FACTORIES: dict[str, Callable[..., Transform]] = {
    "coupling_flow": coupling_flow,
    "cycle_consistent": cycle_consistent,
    "deep_cca": deep_cca,
    "flow_matching": flow_matching,
    "mlp": mlp,
    "residual": residual,
    "variational": variational,
}
"""What a configuration may name; a closed table, so no name is ever an import path. `compose` is
made of two members of other tables and is none of this one."""
