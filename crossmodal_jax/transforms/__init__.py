"""Closed-form transforms Y = T(X), one interface: fit, apply, inverse, solve."""

from crossmodal_jax.transforms._cca import CCA as CCA
from crossmodal_jax.transforms._cca import canonical_variates as canonical_variates
from crossmodal_jax.transforms._cca import cca as cca
from crossmodal_jax.transforms._factories import FACTORIES as FACTORIES
from crossmodal_jax.transforms._generalized_cca import generalized_cca as generalized_cca
from crossmodal_jax.transforms._generalized_cca import multiset_cca as multiset_cca
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
from crossmodal_jax.transforms._pca import PCA as PCA
from crossmodal_jax.transforms._pca import pca as pca
from crossmodal_jax.transforms._ridge import Ridge as Ridge
from crossmodal_jax.transforms._ridge import ridge as ridge
from crossmodal_jax.transforms._tensor_cca import tensor_cca as tensor_cca
from crossmodal_jax.transforms._transform import Predictive as Predictive
from crossmodal_jax.transforms._transform import Transform as Transform
from crossmodal_jax.transforms._transform import predictive as predictive
