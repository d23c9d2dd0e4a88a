"""Objectives: one value per sample or pair, or one in all; what is masked has no influence."""

from crossmodal_jax.losses._adversarial import gradient_reversal as gradient_reversal
from crossmodal_jax.losses._agreement import symmetric_divergence as symmetric_divergence
from crossmodal_jax.losses._alignment import alignment_loss as alignment_loss
from crossmodal_jax.losses._alignment import uniformity_loss as uniformity_loss
from crossmodal_jax.losses._captioning import token_cross_entropy as token_cross_entropy
from crossmodal_jax.losses._cca import cca_loss as cca_loss
from crossmodal_jax.losses._circle import circle_loss as circle_loss
from crossmodal_jax.losses._classification import softmax_cross_entropy as softmax_cross_entropy
from crossmodal_jax.losses._contrastive import clip_loss as clip_loss
from crossmodal_jax.losses._contrastive import siglip_loss as siglip_loss
from crossmodal_jax.losses._cycle import cycle_loss as cycle_loss
from crossmodal_jax.losses._eigengame import eigengame_loss as eigengame_loss
from crossmodal_jax.losses._elbo import elbo_loss as elbo_loss
from crossmodal_jax.losses._elbo import gaussian_divergence as gaussian_divergence
from crossmodal_jax.losses._elbo import jmvae_loss as jmvae_loss
from crossmodal_jax.losses._elbo import mvtcae_loss as mvtcae_loss
from crossmodal_jax.losses._evidential import evidential_loss as evidential_loss
from crossmodal_jax.losses._functional_entropy import (
    functional_entropy_loss as functional_entropy_loss,
)
from crossmodal_jax.losses._hard_negative import hard_negative_loss as hard_negative_loss
from crossmodal_jax.losses._hinge import hinge_loss as hinge_loss
from crossmodal_jax.losses._importance import dreg_samples as dreg_samples
from crossmodal_jax.losses._importance import mmvae_loss as mmvae_loss
from crossmodal_jax.losses._kernel_discrepancy import hsic_loss as hsic_loss
from crossmodal_jax.losses._kernel_discrepancy import mmd_loss as mmd_loss
from crossmodal_jax.losses._likelihoods import bernoulli_log_likelihood as bernoulli_log_likelihood
from crossmodal_jax.losses._likelihoods import gaussian_log_likelihood as gaussian_log_likelihood
from crossmodal_jax.losses._likelihoods import laplace_log_likelihood as laplace_log_likelihood
from crossmodal_jax.losses._many import pairwise_loss as pairwise_loss
from crossmodal_jax.losses._many import symile_loss as symile_loss
from crossmodal_jax.losses._matching import matching_loss as matching_loss
from crossmodal_jax.losses._matching import sample_negatives as sample_negatives
from crossmodal_jax.losses._moment_matching import cmd_loss as cmd_loss
from crossmodal_jax.losses._moment_matching import coral_loss as coral_loss
from crossmodal_jax.losses._multi_similarity import multi_similarity_loss as multi_similarity_loss
from crossmodal_jax.losses._queue import MemoryQueue as MemoryQueue
from crossmodal_jax.losses._queue import init_memory_queue as init_memory_queue
from crossmodal_jax.losses._queue import update_memory_queue as update_memory_queue
from crossmodal_jax.losses._redundancy import barlow_twins as barlow_twins
from crossmodal_jax.losses._redundancy import vicreg as vicreg
from crossmodal_jax.losses._refinement import refinement_loss as refinement_loss
from crossmodal_jax.losses._regression import absolute_error as absolute_error
from crossmodal_jax.losses._regression import cosine_loss as cosine_loss
from crossmodal_jax.losses._regression import huber_loss as huber_loss
from crossmodal_jax.losses._regression import squared_error as squared_error
from crossmodal_jax.losses._soft_target import soft_target_loss as soft_target_loss
from crossmodal_jax.losses._supervised import ntxent_loss as ntxent_loss
from crossmodal_jax.losses._supervised import supcon_loss as supcon_loss
from crossmodal_jax.losses._transport import sinkhorn_divergence as sinkhorn_divergence
from crossmodal_jax.losses._triplet import triplet_loss as triplet_loss
