"""Closed-form transforms Y = T(X), one interface: fit, apply, inverse, solve."""

from crossmodal_jax.transforms._cca import CCA as CCA
from crossmodal_jax.transforms._cca import canonical_variates as canonical_variates
from crossmodal_jax.transforms._cca import cca as cca
from crossmodal_jax.transforms._coral import Coral as Coral
from crossmodal_jax.transforms._coral import coral as coral
from crossmodal_jax.transforms._factories import FACTORIES as FACTORIES
from crossmodal_jax.transforms._pca import PCA as PCA
from crossmodal_jax.transforms._pca import pca as pca
from crossmodal_jax.transforms._pls import PLS as PLS
from crossmodal_jax.transforms._pls import pls as pls
from crossmodal_jax.transforms._pls import pls_scores as pls_scores
from crossmodal_jax.transforms._procrustes import Procrustes as Procrustes
from crossmodal_jax.transforms._procrustes import procrustes as procrustes
from crossmodal_jax.transforms._reduced_rank import ReducedRank as ReducedRank
from crossmodal_jax.transforms._reduced_rank import reduced_rank as reduced_rank
from crossmodal_jax.transforms._ridge import Ridge as Ridge
from crossmodal_jax.transforms._ridge import ridge as ridge
from crossmodal_jax.transforms._ridge_tuning import ridge_leave_one_out as ridge_leave_one_out
from crossmodal_jax.transforms._ridge_tuning import ridge_path as ridge_path
from crossmodal_jax.transforms._transform import Predictive as Predictive
from crossmodal_jax.transforms._transform import Transform as Transform
from crossmodal_jax.transforms._transform import predictive as predictive
from crossmodal_jax.transforms._whiten import Whitening as Whitening
from crossmodal_jax.transforms._whiten import whiten as whiten
