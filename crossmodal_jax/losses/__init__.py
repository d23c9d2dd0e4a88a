"""Objectives: one value per sample or pair; what is masked has no influence."""

from crossmodal_jax.losses._classification import softmax_cross_entropy as softmax_cross_entropy
from crossmodal_jax.losses._contrastive import clip_loss as clip_loss
