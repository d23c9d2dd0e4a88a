"""Parallelism: data-parallel meshes, batch layouts, ring losses and process start-up."""

from crossmodal_jax.parallel._initialize import initialize as initialize
from crossmodal_jax.parallel._mesh import batch_sharding as batch_sharding
from crossmodal_jax.parallel._mesh import data_mesh as data_mesh
from crossmodal_jax.parallel._mesh import replicate as replicate
from crossmodal_jax.parallel._mesh import shard_batch as shard_batch
from crossmodal_jax.parallel._ring import ring_clip_loss as ring_clip_loss
from crossmodal_jax.parallel._ring import ring_siglip_loss as ring_siglip_loss
from crossmodal_jax.parallel._ring import ring_supcon_loss as ring_supcon_loss
from crossmodal_jax.parallel._rules import rule_shardings as rule_shardings
from crossmodal_jax.parallel._wrappers import any_mesh as any_mesh
from crossmodal_jax.parallel._wrappers import over_rows as over_rows
