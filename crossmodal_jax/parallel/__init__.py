"""Parallelism: data-parallel meshes, batch layouts and process start-up."""

from crossmodal_jax.parallel._initialize import initialize as initialize
from crossmodal_jax.parallel._mesh import batch_sharding as batch_sharding
from crossmodal_jax.parallel._mesh import data_mesh as data_mesh
from crossmodal_jax.parallel._mesh import replicate as replicate
from crossmodal_jax.parallel._mesh import shard_batch as shard_batch
