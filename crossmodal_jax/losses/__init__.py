"""Objectives: one value per sample or pair, or one in all; what is masked has no influence."""

from crossmodal_jax.losses._captioning import token_cross_entropy as token_cross_entropy
from crossmodal_jax.losses._cca import cca_loss as cca_loss
from crossmodal_jax.losses._classification import softmax_cross_entropy as softmax_cross_entropy
from crossmodal_jax.losses._contrastive import clip_loss as clip_loss
from crossmodal_jax.losses._contrastive import siglip_loss as siglip_loss
from crossmodal_jax.losses._hard_negative import hard_negative_loss as hard_negative_loss
from crossmodal_jax.losses._supervised import ntxent_loss as ntxent_loss
from crossmodal_jax.losses._supervised import supcon_loss as supcon_loss
