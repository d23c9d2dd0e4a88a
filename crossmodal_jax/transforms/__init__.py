"""Closed-form transforms Y = T(X), one interface: fit, apply, inverse, solve."""

from crossmodal_jax.transforms._cca import CCA as CCA
from crossmodal_jax.transforms._cca import canonical_variates as canonical_variates
from crossmodal_jax.transforms._cca import cca as cca
from crossmodal_jax.transforms._entropic_ot import EntropicOT as EntropicOT
from crossmodal_jax.transforms._entropic_ot import entropic_ot as entropic_ot
from crossmodal_jax.transforms._factories import FACTORIES as FACTORIES
from crossmodal_jax.transforms._gaussian_map import GaussianMap as GaussianMap
from crossmodal_jax.transforms._gaussian_map import bures_distance as bures_distance
from crossmodal_jax.transforms._gaussian_map import gaussian_map as gaussian_map
from crossmodal_jax.transforms._gromov_wasserstein import GromovWasserstein as GromovWasserstein
from crossmodal_jax.transforms._gromov_wasserstein import gromov_wasserstein as gromov_wasserstein
from crossmodal_jax.transforms._pca import PCA as PCA
from crossmodal_jax.transforms._pca import pca as pca
from crossmodal_jax.transforms._procrustes_wasserstein import (
    ProcrustesWasserstein as ProcrustesWasserstein,
)
from crossmodal_jax.transforms._procrustes_wasserstein import (
    procrustes_wasserstein as procrustes_wasserstein,
)
from crossmodal_jax.transforms._ridge import Ridge as Ridge
from crossmodal_jax.transforms._ridge import ridge as ridge
from crossmodal_jax.transforms._transform import Predictive as Predictive
from crossmodal_jax.transforms._transform import Transform as Transform
from crossmodal_jax.transforms._transform import predictive as predictive
