"""One thing to time: a function, its inputs, its cost and its float64 reference."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

FORWARD = "forward"
FORWARD_BACKWARD = "forward_backward"


@dataclasses.dataclass(frozen=True)
class Case:
    """One operation on one workload, by one implementation, in one mode.

    Attributes:
      suite: Group of operations, by room of the library.
      op: The operation.
      spec: The workload: dtype and sizes.
      implementation: Which of several ways to compute it.
      mode: `FORWARD` or `FORWARD_BACKWARD`.
      function: What is compiled and timed, called on the inputs.
      make_inputs: Makes the inputs, a tuple of pytrees of NumPy arrays.
      reference: The same function in NumPy float64, with outputs of the same structure.
      dtype: What floating-point inputs are converted to.
      flops: Floating-point operations that the mathematics needs.
      gemms: Shapes (m, k, n) of the products that dominate; their rate is measured too.
      ffts: Real Fourier transforms that the mathematics needs besides: their number and length.
      rows: Samples that one call takes in, for the rate; None where there is no such number.
      make_checked: Makes other inputs of the same shapes on which the output is compared with the
        reference, where what is timed is too large for it; None compares what is timed.
    """

    suite: str
    op: str
    spec: str
    implementation: str
    mode: str
    function: Callable[..., Any]
    make_inputs: Callable[[], tuple[Any, ...]]
    reference: Callable[..., Any]
    dtype: str = "float32"
    flops: float = 0.0
    gemms: Sequence[tuple[int, int, int]] = ()
    ffts: tuple[int, int] = (0, 1)
    rows: int | None = None
    make_checked: Callable[[], tuple[Any, ...]] | None = None

    @property
    def name(self) -> str:
        """All five names in one; unique."""
        return "/".join((self.suite, self.op, self.spec, self.implementation, self.mode))

    def device_inputs(self) -> tuple[Any, ...]:
        """The inputs in the dtype of the case, on the default device."""
        return jax.tree.map(self._convert, self.make_inputs())

    def checked_inputs(self) -> tuple[Any, ...]:
        """Those that are compared with the reference."""
        return jax.tree.map(self._convert, (self.make_checked or self.make_inputs)())

    def _convert(self, x: np.ndarray) -> jax.Array:
        return jnp.asarray(x, self.dtype if np.issubdtype(x.dtype, np.floating) else x.dtype)


def with_gradient(function: Callable[..., Any], num: int) -> Callable[..., Any]:
    """`function` and its gradient in one call.

    The result takes the cotangent of the output first, then the arguments; it returns the
    output and the cotangents of the first `num` arguments, so nothing of it is optimised away.
    """

    def both(cotangent: Any, *args: Any) -> tuple[Any, tuple[Any, ...]]:
        output, pullback = jax.vjp(lambda *some: function(*some, *args[num:]), *args[:num])
        return output, pullback(cotangent)

    return both


def in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` itself as a reference: on float64, it shows what its own dtype rounds away."""

    def reference(*args: Any) -> Any:
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, jax.jit(function)(*args))

    return reference


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays, from their shapes."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def relative_error(got: Any, expected: Any) -> float:
    """Largest deviation of an array over the largest entry expected there, worst array."""
    leaves, structure = jax.tree.flatten(got)
    references, expected_structure = jax.tree.flatten(expected)
    if structure != expected_structure:
        raise ValueError(
            f"relative_error: the reference must have structure {structure}, got "
            f"{expected_structure}."
        )
    errors = [0.0]
    for leaf, reference in zip(leaves, references, strict=True):
        if leaf.shape != np.shape(reference):
            raise ValueError(
                f"relative_error: the reference must have shape {leaf.shape}, got "
                f"{np.shape(reference)}."
            )
        deviation = np.max(np.abs(as_float64(leaf) - reference), initial=0.0)
        scale = np.max(np.abs(reference), initial=0.0)
        errors.append(float(deviation / scale if scale > 0 else deviation))
    return float(np.max(errors))  # NaN stays NaN


def as_float64(x: Any) -> np.ndarray:
    """A float array of any precision as float64; other arrays as they are."""
    return np.asarray(x, np.float64) if jnp.issubdtype(x.dtype, jnp.floating) else np.asarray(x)
