"""Closed-form transforms Y = T(X), one interface: fit, apply, inverse, solve."""

from crossmodal_jax.transforms._cca import CCA as CCA
from crossmodal_jax.transforms._cca import canonical_variates as canonical_variates
from crossmodal_jax.transforms._cca import cca as cca
from crossmodal_jax.transforms._chain import chain as chain
from crossmodal_jax.transforms._coral import Coral as Coral
from crossmodal_jax.transforms._coral import coral as coral
from crossmodal_jax.transforms._entropic_ot import EntropicOT as EntropicOT
from crossmodal_jax.transforms._entropic_ot import entropic_ot as entropic_ot
from crossmodal_jax.transforms._factories import FACTORIES as FACTORIES
from crossmodal_jax.transforms._gaussian_map import GaussianMap as GaussianMap
from crossmodal_jax.transforms._gaussian_map import bures_distance as bures_distance
from crossmodal_jax.transforms._gaussian_map import gaussian_map as gaussian_map
from crossmodal_jax.transforms._generalized_cca import generalized_cca as generalized_cca
from crossmodal_jax.transforms._generalized_cca import multiset_cca as multiset_cca
from crossmodal_jax.transforms._gromov_wasserstein import GromovWasserstein as GromovWasserstein
from crossmodal_jax.transforms._gromov_wasserstein import gromov_wasserstein as gromov_wasserstein
from crossmodal_jax.transforms._kernel_cca import KernelCCA as KernelCCA
from crossmodal_jax.transforms._kernel_cca import kernel_cca as kernel_cca
from crossmodal_jax.transforms._kernel_cca import kernel_variates as kernel_variates
from crossmodal_jax.transforms._kernel_ridge import KernelRidge as KernelRidge
from crossmodal_jax.transforms._kernel_ridge import kernel_ridge as kernel_ridge
from crossmodal_jax.transforms._kernels import Kernel as Kernel
from crossmodal_jax.transforms._kernels import linear_kernel as linear_kernel
from crossmodal_jax.transforms._kernels import polynomial_kernel as polynomial_kernel
from crossmodal_jax.transforms._kernels import rbf_kernel as rbf_kernel
from crossmodal_jax.transforms._multiview import MultiviewCCA as MultiviewCCA
from crossmodal_jax.transforms._multiview import view_variates as view_variates
from crossmodal_jax.transforms._partial_cca import PartialCCA as PartialCCA
from crossmodal_jax.transforms._partial_cca import partial_cca as partial_cca
from crossmodal_jax.transforms._partial_cca import remove_confounds as remove_confounds
from crossmodal_jax.transforms._pca import PCA as PCA
from crossmodal_jax.transforms._pca import pca as pca
from crossmodal_jax.transforms._pls import PLS as PLS
from crossmodal_jax.transforms._pls import pls as pls
from crossmodal_jax.transforms._pls import pls_scores as pls_scores
from crossmodal_jax.transforms._probabilistic_cca import ProbabilisticCCA as ProbabilisticCCA
from crossmodal_jax.transforms._probabilistic_cca import latent_posterior as latent_posterior
from crossmodal_jax.transforms._probabilistic_cca import probabilistic_cca as probabilistic_cca
from crossmodal_jax.transforms._procrustes import Procrustes as Procrustes
from crossmodal_jax.transforms._procrustes import procrustes as procrustes
from crossmodal_jax.transforms._procrustes_wasserstein import (
    ProcrustesWasserstein as ProcrustesWasserstein,
)
from crossmodal_jax.transforms._procrustes_wasserstein import (
    procrustes_wasserstein as procrustes_wasserstein,
)
from crossmodal_jax.transforms._random_features import Nystrom as Nystrom
from crossmodal_jax.transforms._random_features import RandomFeatures as RandomFeatures
from crossmodal_jax.transforms._random_features import nystrom as nystrom
from crossmodal_jax.transforms._random_features import random_features as random_features
from crossmodal_jax.transforms._reduced_rank import ReducedRank as ReducedRank
from crossmodal_jax.transforms._reduced_rank import reduced_rank as reduced_rank
from crossmodal_jax.transforms._ridge import Ridge as Ridge
from crossmodal_jax.transforms._ridge import ridge as ridge
from crossmodal_jax.transforms._ridge_tuning import ridge_leave_one_out as ridge_leave_one_out
from crossmodal_jax.transforms._ridge_tuning import ridge_path as ridge_path
from crossmodal_jax.transforms._tensor_cca import tensor_cca as tensor_cca
from crossmodal_jax.transforms._transform import Predictive as Predictive
from crossmodal_jax.transforms._transform import Transform as Transform
from crossmodal_jax.transforms._transform import predictive as predictive
from crossmodal_jax.transforms._whiten import Whitening as Whitening
from crossmodal_jax.transforms._whiten import whiten as whiten
