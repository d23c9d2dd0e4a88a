"""What the machine can do at all: rates of matrix products and of memory, measured in the run."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.case import Case
from benchmarks.timing import Program, Timing, compile_program

Gemm = tuple[str, int, int, int]
# Few enough for the cache of a processor, where transforms are fastest.
_FFT_ROWS = 128


class Ceilings(NamedTuple):
    """Rates that no case can beat.

    Attributes:
      matmul: FLOP/s of x [m, k] times y [k, n], by (dtype, m, k, n); sums are float32.
      memory: Bytes/s, read and written, by (number of arrays read for one that is written,
        bytes moved).
      fft: Real Fourier transforms per second, by their length, in float32.
    """

    matmul: dict[Gemm, float]
    memory: dict[tuple[int, int], float]
    fft: dict[int, float]

    def flops_per_s(self, dtype: str) -> float:
        """The fastest product of this dtype: the square one or one of the shape of a case."""
        return max(rate for (kind, *_), rate in self.matmul.items() if kind == dtype)

    def bytes_per_s(self, num_bytes: float) -> float:
        """The fastest traffic of about so many bytes or more.

        Caches make small copies quick, so that a smaller one proves nothing about this case; but
        a small copy is mostly overhead, so that a larger one may be the faster.
        """
        largest = max(size for _, size in self.memory)
        return max(
            rate for (_, size), rate in self.memory.items() if size >= min(num_bytes / 2, largest)
        )

    def floor_s(
        self, dtype: str, flops: float, num_bytes: float, ffts: tuple[int, int] = (0, 1)
    ) -> float:
        """Least seconds for so much work and traffic; `ffts` are a number and a length."""
        count, length = ffts
        transforms = count / self.fft[length] if count else 0.0
        work = flops / self.flops_per_s(dtype) + transforms
        return max(work, num_bytes / self.bytes_per_s(num_bytes))

    def as_json(self) -> dict[str, Any]:
        """Plain values for the result file."""
        return {
            "matmul": [
                {"dtype": dtype, "m": m, "k": k, "n": n, "flops_per_s": rate}
                for (dtype, m, k, n), rate in self.matmul.items()
            ],
            "copy": [
                {"arrays_read": read, "bytes": size, "bytes_per_s": rate}
                for (read, size), rate in self.memory.items()
            ],
            "fft": [
                {"length": length, "transforms_per_s": rate} for length, rate in self.fft.items()
            ],
        }


def ceiling_programs(
    cases: Iterable[Case], *, square: int, copy_bytes: Iterable[int]
) -> dict[str, tuple[Any, Program]]:
    """Programs that measure the ceilings of these cases, by name, each with its key."""
    cases = list(cases)
    gemms = {(case.dtype, square, square, square) for case in cases}
    gemms |= {(case.dtype, *gemm) for case in cases for gemm in case.gemms}
    programs: dict[str, tuple[Any, Program]] = {}
    for gemm in sorted(gemms):
        programs["matmul/" + "/".join(map(str, gemm))] = gemm, matmul_program(gemm)
    # A write also loads the line that it replaces, so reading more per write can be faster.
    for read in (1, 3):
        for size in copy_bytes:
            key = (read, size)
            programs[f"copy/{read}/{size}"] = key, _copy_program(read, size)
    for length in sorted({case.ffts[1] for case in cases if case.ffts[0]}):
        programs[f"fft/{length}"] = length, _fft_program(length)
    return programs


def collect(programs: Mapping[str, tuple[Any, Program]], times: Mapping[str, Timing]) -> Ceilings:
    """Rates from the medians of the ceiling programs."""
    ceilings = Ceilings({}, {}, {})
    for name, (key, _) in programs.items():
        seconds = times[name].median
        if name.startswith("matmul/"):
            _, m, k, n = key
            ceilings.matmul[key] = 2 * m * k * n / seconds
        elif name.startswith("fft/"):
            ceilings.fft[key] = _FFT_ROWS / seconds
        else:
            ceilings.memory[key] = key[1] / seconds
    return ceilings


def matmul_program(gemm: Gemm) -> Program:
    """Product of x [m, k] and y [k, n], whose sums are float32."""
    dtype, m, k, n = gemm
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((m, k), np.float32), dtype)
    y = jnp.asarray(rng.standard_normal((k, n), np.float32), dtype)
    return compile_program(
        lambda x, y: jnp.matmul(x, y, preferred_element_type=jnp.float32), (x, y)
    )


def _fft_program(length: int) -> Program:
    x = np.random.default_rng(0).standard_normal((_FFT_ROWS, length), np.float32)
    return compile_program(jnp.fft.rfft, (jnp.asarray(x),))


def _copy_program(read: int, num_bytes: int) -> Program:
    rng = np.random.default_rng(0)
    length = num_bytes // (4 * (read + 1))
    arrays = [jnp.asarray(rng.standard_normal(length, np.float32)) for _ in range(read)]
    # An addition, since a plain copy may be no more than a new name for the same memory.
    return compile_program(lambda *xs: jax.tree.reduce(jnp.add, xs, jnp.float32(1)), (*arrays,))
