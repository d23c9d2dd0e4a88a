"""The sums over pairs by kernels for Hopper GPUs, where those can run."""

from typing import Any

import jax
import jax.numpy as jnp

from crossmodal_jax.kernels.pair_sums._sides import LogSums, Sides, SoftplusSums

# 2¹⁶ − 1 tiles of 128 columns, as many blocks as a grid has along its second axis.
_MOST = 8_388_480


def log_sums(sides: Sides, *, precision: jnp.dtype, interpret: Any = False) -> LogSums:
    """The same in O((n + m) d) memory and that of a slab of slopes.

    With `interpret`, parameters of Pallas for it, the kernels are interpreted on any device.
    """
    _refuse(sides, precision, interpret)
    from crossmodal_jax.kernels.pair_sums import _mosaic_sums

    return _mosaic_sums.log_sums(_mosaic_sums.rows_of_a_slab(sides), interpret, sides)


def softplus_sums(sides: Sides, *, precision: jnp.dtype, interpret: Any = False) -> SoftplusSums:
    """The same in O((n + m) d) memory and that of a slab of slopes; `interpret` as above."""
    _refuse(sides, precision, interpret)
    from crossmodal_jax.kernels.pair_sums import _mosaic_sums

    return _mosaic_sums.softplus_sums(_mosaic_sums.rows_of_a_slab(sides), interpret, sides)


def _refuse(sides: Sides, precision: jnp.dtype, interpret: Any) -> None:
    """Asks what is known of the arguments before it asks the device, and loads nothing."""
    if precision != jnp.bfloat16:
        raise NotImplementedError(f'needs precision="bfloat16", got {precision}')
    if sides.scale.dtype != jnp.float32:
        raise NotImplementedError(f"sums up in float32, got {sides.scale.dtype}")
    if 0 in sides.x.shape or 0 in sides.y.shape:
        raise NotImplementedError("needs rows on either side and a width")
    if sides.y.shape[0] > _MOST:
        raise NotImplementedError(f"takes up to {_MOST} rows of y, got {sides.y.shape[0]}")
    if sides.exclude is not None or sides.labels is not None:
        raise NotImplementedError("takes one match of each row, and leaves out no single pairs")
    if jax.__version_info__ < (0, 10, 2):
        raise NotImplementedError(f"needs jax 0.10.2 or later, got {jax.__version__}")
    device = jax.devices()[0]
    capability = getattr(device, "compute_capability", "none")
    if not interpret and capability != "9.0":
        raise NotImplementedError(
            f"needs a GPU of compute capability 9.0, got {device.device_kind} ({capability})"
        )
