"""Contrastive losses of rows that are spread over devices, inside `jax.shard_map`."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import kernels
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike

AxisName = str | tuple[str, ...]


def ring_clip_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    axis_name: AxisName,
    logit_scale: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "n"] | None = None,
    precision: str | jnp.dtype | None = None,
) -> Float[Array, "n"]:
    """`losses.clip_loss` of the local pairs, among the pairs of all devices.

    Blocks of y travel around a ring with their column sums, and in the backward pass with their
    gradient; no device holds more than its own rows, one block and a slab of logits. The mean
    over all pairs is `jax.lax.pmean` of the local mean if the shards are even and nothing is
    dropped, else a `psum` of sums over one of counts.

    Args:
      x: Local embeddings of the first modality, shape [n, d].
      y: Local embeddings of the second modality; row i is the match of `x[i]`.
      axis_name: The axis or axes of the mesh over which the pairs are spread.
      logit_scale: The scale s (not its logarithm), the same on all devices; may be traced.
      where: Local pairs to keep, shape [n]. A dropped pair is no anchor *and* no negative.
      precision: As for `kernels.log_sums`.

    Returns:
      Loss per local pair, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `x` and `y` are not matrices of one width, or `where` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import functools, jax, jax.numpy as jnp
      >>> from crossmodal_jax.parallel import data_mesh
      >>> mesh, rows = data_mesh(jax.devices()[:1]), jax.P("data")
      >>> local = functools.partial(ring_clip_loss, axis_name="data", logit_scale=0.0)
      >>> loss = jax.shard_map(local, mesh=mesh, in_specs=(rows, rows), out_specs=rows)
      >>> print(loss(jnp.eye(2), jnp.eye(2)))
      [0.6931472 0.6931472]
    """
    keep = check_where("ring_clip_loss", where, jnp.shape(x)[:1])
    sums = kernels.log_sums(
        x,
        y,
        scale=logit_scale,
        where=keep,
        where_y=keep,
        axis_name=axis_name,
        precision=precision,
    )
    return (sums.rows + sums.columns) / 2 - sums.matches


def ring_siglip_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    axis_name: AxisName,
    logit_scale: Float[ArrayLike, ""] | float = 10.0,
    bias: Float[ArrayLike, ""] | float = -10.0,
    where: Bool[ArrayLike, "n"] | None = None,
    precision: str | jnp.dtype | None = None,
) -> Float[Array, "n"]:
    """`losses.siglip_loss` of the local rows, among the rows of all devices.

    One round of the ring makes the value and the gradient of a mean over all rows.

    Args:
      x: As for `ring_clip_loss`, shape [n, d].
      y: As for `ring_clip_loss`, shape [n, d].
      axis_name: As for `ring_clip_loss`.
      logit_scale: The scale s (not its logarithm), the same on all devices; may be traced.
      bias: The bias b, the same on all devices; may be traced.
      where: As for `ring_clip_loss`.
      precision: As for `kernels.log_sums`.

    Returns:
      Loss per local row, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: As for `ring_clip_loss`.
      TypeError: As for `ring_clip_loss`.

    Examples:
      >>> import functools, jax, jax.numpy as jnp
      >>> from crossmodal_jax.parallel import data_mesh
      >>> mesh, rows = data_mesh(jax.devices()[:1]), jax.P("data")
      >>> local = functools.partial(ring_siglip_loss, axis_name="data", logit_scale=0.0, bias=0.0)
      >>> loss = jax.shard_map(local, mesh=mesh, in_specs=(rows, rows), out_specs=rows)
      >>> print(loss(jnp.eye(2), jnp.eye(2)))
      [1.3862944 1.3862944]
    """
    keep = check_where("ring_siglip_loss", where, jnp.shape(x)[:1])
    sums = kernels.softplus_sums(
        x,
        y,
        scale=logit_scale,
        bias=bias,
        where=keep,
        where_y=keep,
        axis_name=axis_name,
        precision=precision,
    )
    return sums.rows - sums.matches


def ring_supcon_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"] | None = None,
    *,
    labels: Int[ArrayLike, "n"],
    axis_name: AxisName,
    logit_scale: Float[ArrayLike, ""] | float = 10.0,
    where: Bool[ArrayLike, "n"] | None = None,
    precision: str | jnp.dtype | None = None,
) -> Float[Array, "n"]:
    """`losses.supcon_loss` of the local rows, among the rows of all devices.

    Args:
      x: Local embeddings, shape [n, d].
      y: Local embeddings of a second modality, shape [n, d]; None for one set.
      labels: What each local row is, shape [n]; the labels of all devices are one set.
      axis_name: As for `ring_clip_loss`.
      logit_scale: The scale s, one over the temperature, the same on all devices; may be traced.
      where: As for `ring_clip_loss`.
      precision: As for `kernels.log_sums`.

    Returns:
      Loss per local row, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: As for `ring_clip_loss`, or if `labels` do not fit.
      TypeError: As for `ring_clip_loss`.

    Examples:
      >>> import functools, jax, jax.numpy as jnp
      >>> from crossmodal_jax.parallel import data_mesh
      >>> mesh, rows = data_mesh(jax.devices()[:1]), jax.P("data")
      >>> local = lambda x, labels: ring_supcon_loss(x, labels=labels, axis_name="data")
      >>> loss = jax.shard_map(local, mesh=mesh, in_specs=(rows, rows), out_specs=rows)
      >>> print(loss(jnp.zeros((3, 2)), jnp.array([3, 3, 8])))
      [0.6931472 0.6931472 0.       ]
    """
    keep = check_where("ring_supcon_loss", where, jnp.shape(x)[:1])
    sums = kernels.label_log_sums(
        x,
        x if y is None else y,
        labels=labels,
        labels_y=labels,
        scale=logit_scale,
        where=keep,
        where_y=keep,
        exclude=jnp.arange(jnp.shape(x)[0]) if y is None else None,
        axis_name=axis_name,
        precision=precision,
    )
    rows, columns = sums.cross_entropies()
    return rows if y is None else (rows + columns) / 2
