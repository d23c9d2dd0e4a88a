"""Objectives: one value per sample or pair, or one in all; what is masked has no influence."""

from crossmodal_jax.losses._adversarial import gradient_reversal as gradient_reversal
from crossmodal_jax.losses._alignment import alignment_loss as alignment_loss
from crossmodal_jax.losses._alignment import uniformity_loss as uniformity_loss
from crossmodal_jax.losses._captioning import token_cross_entropy as token_cross_entropy
from crossmodal_jax.losses._cca import cca_loss as cca_loss
from crossmodal_jax.losses._classification import softmax_cross_entropy as softmax_cross_entropy
from crossmodal_jax.losses._contrastive import clip_loss as clip_loss
from crossmodal_jax.losses._contrastive import siglip_loss as siglip_loss
from crossmodal_jax.losses._eigengame import eigengame_loss as eigengame_loss
from crossmodal_jax.losses._hard_negative import hard_negative_loss as hard_negative_loss
from crossmodal_jax.losses._kernel_discrepancy import hsic_loss as hsic_loss
from crossmodal_jax.losses._kernel_discrepancy import mmd_loss as mmd_loss
from crossmodal_jax.losses._moment_matching import cmd_loss as cmd_loss
from crossmodal_jax.losses._moment_matching import coral_loss as coral_loss
from crossmodal_jax.losses._redundancy import barlow_twins as barlow_twins
from crossmodal_jax.losses._redundancy import vicreg as vicreg
from crossmodal_jax.losses._supervised import ntxent_loss as ntxent_loss
from crossmodal_jax.losses._supervised import supcon_loss as supcon_loss
from crossmodal_jax.losses._transport import sinkhorn_divergence as sinkhorn_divergence
