"""The closed table of transforms, by name."""

from collections.abc import Callable

from crossmodal_jax.transforms._cca import cca
from crossmodal_jax.transforms._coral import coral
from crossmodal_jax.transforms._entropic_ot import entropic_ot
from crossmodal_jax.transforms._gaussian_map import gaussian_map
from crossmodal_jax.transforms._generalized_cca import generalized_cca, multiset_cca
from crossmodal_jax.transforms._gromov_wasserstein import gromov_wasserstein
from crossmodal_jax.transforms._kernel_cca import kernel_cca
from crossmodal_jax.transforms._kernel_ridge import kernel_ridge
from crossmodal_jax.transforms._partial_cca import partial_cca
from crossmodal_jax.transforms._pca import pca
from crossmodal_jax.transforms._pls import pls
from crossmodal_jax.transforms._probabilistic_cca import probabilistic_cca
from crossmodal_jax.transforms._procrustes import procrustes
from crossmodal_jax.transforms._procrustes_wasserstein import procrustes_wasserstein
from crossmodal_jax.transforms._random_features import nystrom, random_features
from crossmodal_jax.transforms._reduced_rank import reduced_rank
from crossmodal_jax.transforms._ridge import ridge
from crossmodal_jax.transforms._tensor_cca import tensor_cca
from crossmodal_jax.transforms._transform import Transform
from crossmodal_jax.transforms._whiten import whiten

FACTORIES: dict[str, Callable[..., Transform]] = {
    "cca": cca,
    "coral": coral,
    "entropic_ot": entropic_ot,
    "gaussian_map": gaussian_map,
    "generalized_cca": generalized_cca,
    "gromov_wasserstein": gromov_wasserstein,
    "kernel_cca": kernel_cca,
    "kernel_ridge": kernel_ridge,
    "multiset_cca": multiset_cca,
    "nystrom": nystrom,
    "partial_cca": partial_cca,
    "pca": pca,
    "pls": pls,
    "probabilistic_cca": probabilistic_cca,
    "procrustes": procrustes,
    "procrustes_wasserstein": procrustes_wasserstein,
    "random_features": random_features,
    "reduced_rank": reduced_rank,
    "ridge": ridge,
    "tensor_cca": tensor_cca,
    "whiten": whiten,
}
"""What a configuration may name; a closed table, so no name is ever an import path."""
