"""Compiles functions, and times them in turns."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

MAX_CALLS = 1000


class Program(NamedTuple):
    """A compiled function on its inputs.

    Attributes:
      run: Calls it, waits for every output, and returns them. Arguments, if any are given, take
        the place of its inputs.
      compile_s: Seconds to trace, lower and compile, with no cache.
      temp_bytes: Temporary memory, as the compiler states it; None where it does not.
    """

    run: Callable[..., Any]
    compile_s: float
    temp_bytes: int | None


class Timing(NamedTuple):
    """Seconds per call over the rounds."""

    median: float
    lower: float
    upper: float


def compile_program(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Program:
    """Compiles `function` for `inputs`, which the program keeps."""
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*inputs).compile()
    compile_s = time.perf_counter() - start
    analysis = compiled.memory_analysis()
    temp_bytes = getattr(analysis, "temp_size_in_bytes", None)

    def run(*others: Any) -> Any:
        return jax.block_until_ready(compiled(*(others or inputs)))

    return Program(run, compile_s, temp_bytes)


def time_in_turns(
    programs: Mapping[str, Program],
    *,
    rounds: int,
    sample_s: float,
    on_round: Callable[[], None] = lambda: None,
) -> dict[str, Timing]:
    """Times all programs in every round, A B C A B C ..., so that all meet the same machine.

    A sample is the mean over as many calls as `sample_s` holds, one at least. Short calls start
    with one that is not counted, which brings their inputs back into the caches.
    """
    calls = {name: _calls_per_sample(program, sample_s) for name, program in programs.items()}
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            if calls[name] > 1:
                program.run()
            start = time.perf_counter()
            for _ in range(calls[name]):
                program.run()
            samples[name].append((time.perf_counter() - start) / calls[name])
        on_round()
    return {name: _summary(values) for name, values in samples.items()}


def _calls_per_sample(program: Program, sample_s: float) -> int:
    program.run()
    start = time.perf_counter()
    program.run()
    elapsed = max(time.perf_counter() - start, 1e-9)
    return min(max(math.ceil(sample_s / elapsed), 1), MAX_CALLS)


def _summary(samples: list[float]) -> Timing:
    lower, median, upper = np.quantile(samples, [0.25, 0.5, 0.75])
    return Timing(float(median), float(lower), float(upper))
