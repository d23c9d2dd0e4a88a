"""Objectives: one value per sample or pair, or one in all; what is masked has no influence."""

from crossmodal_jax.losses._cca import cca_loss as cca_loss
from crossmodal_jax.losses._circle import circle_loss as circle_loss
from crossmodal_jax.losses._classification import softmax_cross_entropy as softmax_cross_entropy
from crossmodal_jax.losses._contrastive import clip_loss as clip_loss
from crossmodal_jax.losses._contrastive import siglip_loss as siglip_loss
from crossmodal_jax.losses._hinge import hinge_loss as hinge_loss
from crossmodal_jax.losses._many import pairwise_loss as pairwise_loss
from crossmodal_jax.losses._many import symile_loss as symile_loss
from crossmodal_jax.losses._multi_similarity import multi_similarity_loss as multi_similarity_loss
from crossmodal_jax.losses._queue import MemoryQueue as MemoryQueue
from crossmodal_jax.losses._queue import init_memory_queue as init_memory_queue
from crossmodal_jax.losses._queue import update_memory_queue as update_memory_queue
from crossmodal_jax.losses._soft_target import soft_target_loss as soft_target_loss
from crossmodal_jax.losses._triplet import triplet_loss as triplet_loss
