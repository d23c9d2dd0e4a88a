"""Copies of host batches to the device, ahead of their use."""

import collections
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np


def prefetch(iterator: Iterable[Any], size: int = 2, *, device: Any = None) -> Iterator[Any]:
    """Yields the batches of an iterator from the device, the next ones being on their way.

    Transfers and steps are dispatched without waiting for them, so that with two batches in
    flight the copy of one and its making on the host happen while the device works on the other.

    Args:
      iterator: Batches, pytrees of NumPy arrays.
      size: Number of batches on the device at a time, at least 1; 2 is double buffering.
      device: Where to put them, a device or a sharding, as in `jax.device_put`; None is the
        default device.

    Returns:
      An iterator over the same batches, in order, as `jax.Array`s. If the given iterator raises,
      the batches before are yielded first, then its error is raised.

    Raises:
      ValueError: If `size` is less than 1; while iterating, if an integer does not fit the 32 bits
        that JAX would cut it to in silence.

    Examples:
      >>> import numpy as np
      >>> batches = ({"x": np.full(2, i)} for i in range(3))
      >>> [batch["x"].tolist() for batch in prefetch(batches)]
      [[0, 0], [1, 1], [2, 2]]
    """
    if size < 1:
        raise ValueError(f"prefetch: `size` must be at least 1, got {size}; 2 is double buffering.")
    return _ahead(iter(iterator), size, device)


def _ahead(iterator: Iterator[Any], size: int, device: Any) -> Iterator[Any]:
    flying, error = collections.deque(), None
    while error is None:
        try:
            batch = next(iterator)
            _check_range(batch)
            flying.append(jax.device_put(batch, device))
        except StopIteration:
            break
        except Exception as raised:
            error = raised
            break
        if len(flying) == size:
            yield flying.popleft()
    while flying:
        yield flying.popleft()
    if error is not None:
        raise error


def _check_range(batch: Any) -> None:
    for path, x in jax.tree_util.tree_leaves_with_path(batch):
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "iu" or x.size == 0:
            continue
        dtype = jax.dtypes.canonicalize_dtype(x.dtype)  # 32 bits unless x64 is enabled
        if x.min() < np.iinfo(dtype).min or x.max() > np.iinfo(dtype).max:
            raise ValueError(
                f"prefetch: {jax.tree_util.keystr(path)} must fit {dtype}, got values from "
                f"{x.min()} to {x.max()}; number them anew or enable x64."
            )
