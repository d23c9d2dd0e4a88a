"""Objectives: one value per sample or pair, or one in all; what is masked has no influence."""

from crossmodal_jax.losses._agreement import symmetric_divergence as symmetric_divergence
from crossmodal_jax.losses._cca import cca_loss as cca_loss
from crossmodal_jax.losses._classification import softmax_cross_entropy as softmax_cross_entropy
from crossmodal_jax.losses._contrastive import clip_loss as clip_loss
from crossmodal_jax.losses._contrastive import siglip_loss as siglip_loss
from crossmodal_jax.losses._refinement import refinement_loss as refinement_loss
from crossmodal_jax.losses._regression import absolute_error as absolute_error
from crossmodal_jax.losses._regression import cosine_loss as cosine_loss
from crossmodal_jax.losses._regression import huber_loss as huber_loss
from crossmodal_jax.losses._regression import squared_error as squared_error
