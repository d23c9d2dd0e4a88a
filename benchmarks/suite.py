"""Which cases there are, and how they become results."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from benchmarks import (
    cases_fusion,
    cases_losses,
    cases_retrieval,
    cases_streaming,
    cases_training,
    cases_transforms,
    cases_transport,
)
from benchmarks.case import Case, as_float64, relative_error, tree_bytes
from benchmarks.ceilings import Ceilings, ceiling_programs, collect
from benchmarks.timing import Program, Timing, compile_program, time_in_turns

MODULES = (
    cases_fusion,
    cases_transforms,
    cases_streaming,
    cases_losses,
    cases_retrieval,
    cases_transport,
    cases_training,
)


class Effort(NamedTuple):
    """How long to measure.

    Attributes:
      rounds: Samples of every case.
      sample_s: Seconds that a sample lasts at least.
      square: Side of the square matrix product of the ceilings.
      copy_bytes: Traffic of the copies of the ceilings.
    """

    rounds: int
    sample_s: float
    square: int
    copy_bytes: tuple[int, ...]


QUICK = Effort(7, 0.01, 1024, tuple(2**k for k in (18, 20, 22, 24, 26)))
FULL = Effort(25, 0.05, 4096, tuple(2**k for k in (18, 20, 22, 24, 26, 28, 30)))


def select(*, quick: bool, only: str = "") -> list[Case]:
    """The cases whose name contains `only`."""
    cases = [case for module in MODULES for case in module.cases(quick=quick)]
    return [case for case in cases if only in case.name]


def run(
    cases: Sequence[Case], effort: Effort, *, on_progress: Callable[[str], None] = lambda _: None
) -> tuple[Ceilings, list[dict[str, Any]]]:
    """Measures the ceilings and the cases in turns; returns the ceilings and one row per case."""
    programs, facts = {}, {}
    for i, case in enumerate(cases, start=1):
        on_progress(f"compile {i}/{len(cases)} {case.name}")
        programs[case.name], facts[case.name] = _prepare(case)
    on_progress("compile the ceilings")
    references = ceiling_programs(cases, square=effort.square, copy_bytes=effort.copy_bytes)
    finished = iter(range(1, effort.rounds + 1))
    times = time_in_turns(
        {**programs, **{name: program for name, (_, program) in references.items()}},
        rounds=effort.rounds,
        sample_s=effort.sample_s,
        on_round=lambda: on_progress(f"round {next(finished)}/{effort.rounds}"),
    )
    ceilings = collect(references, times)
    rows = [
        _row(case, programs[case.name], facts[case.name], times[case.name], ceilings)
        for case in cases
    ]
    return ceilings, rows


def _prepare(case: Case) -> tuple[Program, tuple[int, float]]:
    """The program of a case, the bytes that it must move, and its error."""
    inputs = case.device_inputs()
    program = compile_program(case.function, inputs)
    checked = case.checked_inputs()
    outputs = program.run(*checked)
    expected = case.reference(*jax.tree.map(as_float64, checked))
    return program, (tree_bytes(inputs) + tree_bytes(outputs), relative_error(outputs, expected))


def _row(
    case: Case, program: Program, facts: tuple[int, float], timing: Timing, ceilings: Ceilings
) -> dict[str, Any]:
    num_bytes, error = facts
    ratio = ceilings.floor_s(case.dtype, case.flops, num_bytes, case.ffts) / timing.median
    return {
        "suite": case.suite,
        "op": case.op,
        "spec": case.spec,
        "implementation": case.implementation,
        "mode": case.mode,
        "median_s": timing.median,
        "quartiles_s": [timing.lower, timing.upper],
        "rows_per_s": None if case.rows is None else case.rows / timing.median,
        "floor_ratio": ratio,
        "above_ceiling": ratio > 1,
        "flops": case.flops,
        "ffts": list(case.ffts) if case.ffts[0] else None,
        "bytes": num_bytes,
        "compile_s": program.compile_s,
        "temp_bytes": program.temp_bytes,
        # JSON has no NaN; a result that is not finite has no error that could be stated.
        "error": error if math.isfinite(error) else None,
    }
