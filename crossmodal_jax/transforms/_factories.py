"""The closed table of transforms, by name."""

from collections.abc import Callable

from crossmodal_jax.transforms._cca import cca
from crossmodal_jax.transforms._entropic_ot import entropic_ot
from crossmodal_jax.transforms._gaussian_map import gaussian_map
from crossmodal_jax.transforms._gromov_wasserstein import gromov_wasserstein
from crossmodal_jax.transforms._pca import pca
from crossmodal_jax.transforms._procrustes_wasserstein import procrustes_wasserstein
from crossmodal_jax.transforms._ridge import ridge
from crossmodal_jax.transforms._transform import Transform

FACTORIES: dict[str, Callable[..., Transform]] = {
    "cca": cca,
    "entropic_ot": entropic_ot,
    "gaussian_map": gaussian_map,
    "gromov_wasserstein": gromov_wasserstein,
    "pca": pca,
    "procrustes_wasserstein": procrustes_wasserstein,
    "ridge": ridge,
}
"""What a configuration may name; a closed table, so no name is ever an import path."""
