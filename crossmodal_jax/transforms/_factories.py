"""The closed table of transforms, by name."""

from collections.abc import Callable

from crossmodal_jax.transforms._cca import cca
from crossmodal_jax.transforms._generalized_cca import generalized_cca, multiset_cca
from crossmodal_jax.transforms._kernel_cca import kernel_cca
from crossmodal_jax.transforms._kernel_ridge import kernel_ridge
from crossmodal_jax.transforms._pca import pca
from crossmodal_jax.transforms._ridge import ridge
from crossmodal_jax.transforms._tensor_cca import tensor_cca
from crossmodal_jax.transforms._transform import Transform

FACTORIES: dict[str, Callable[..., Transform]] = {
    "cca": cca,
    "generalized_cca": generalized_cca,
    "kernel_cca": kernel_cca,
    "kernel_ridge": kernel_ridge,
    "multiset_cca": multiset_cca,
    "pca": pca,
    "ridge": ridge,
    "tensor_cca": tensor_cca,
}
"""What a configuration may name; a closed table, so no name is ever an import path."""
