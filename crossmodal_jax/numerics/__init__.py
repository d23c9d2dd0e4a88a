"""Safe norms, masked reductions, distances, linear algebra and streaming joint moments."""

from crossmodal_jax.numerics._distances import dot_scores as dot_scores
from crossmodal_jax.numerics._distances import squared_distances as squared_distances
from crossmodal_jax.numerics._linalg import inverse_cholesky as inverse_cholesky
from crossmodal_jax.numerics._linalg import solve_psd as solve_psd
from crossmodal_jax.numerics._linalg import sqrt_psd as sqrt_psd
from crossmodal_jax.numerics._masked import masked_logsumexp as masked_logsumexp
from crossmodal_jax.numerics._masked import masked_max as masked_max
from crossmodal_jax.numerics._masked import masked_mean as masked_mean
from crossmodal_jax.numerics._masked import masked_min as masked_min
from crossmodal_jax.numerics._masked import masked_softmax as masked_softmax
from crossmodal_jax.numerics._masked import masked_sum as masked_sum
from crossmodal_jax.numerics._masked import masked_var as masked_var
from crossmodal_jax.numerics._masked import zero_absent as zero_absent
from crossmodal_jax.numerics._moments import JointMoments as JointMoments
from crossmodal_jax.numerics._moments import covariance as covariance
from crossmodal_jax.numerics._moments import init_moments as init_moments
from crossmodal_jax.numerics._moments import merge_moments as merge_moments
from crossmodal_jax.numerics._moments import moments as moments
from crossmodal_jax.numerics._moments import psum_moments as psum_moments
from crossmodal_jax.numerics._moments import update_moments as update_moments
from crossmodal_jax.numerics._norms import normalize as normalize
from crossmodal_jax.numerics._norms import safe_divide as safe_divide
from crossmodal_jax.numerics._norms import safe_norm as safe_norm
from crossmodal_jax.numerics._norms import signed_sqrt as signed_sqrt
from crossmodal_jax.numerics._svd import polar_factor as polar_factor
from crossmodal_jax.numerics._svd import safe_svd as safe_svd
