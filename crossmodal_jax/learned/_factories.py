"""The closed table of learned transforms, by name."""

from collections.abc import Callable

from crossmodal_jax.learned._coupling import coupling_flow
from crossmodal_jax.learned._cycle import cycle_consistent
from crossmodal_jax.learned._mlp import mlp, residual
from crossmodal_jax.transforms import Transform

FACTORIES: dict[str, Callable[..., Transform]] = {
    "coupling_flow": coupling_flow,
    "cycle_consistent": cycle_consistent,
    "mlp": mlp,
    "residual": residual,
}
"""What a configuration may name; a closed table, so no name is ever an import path."""
