"""The same run with several seeds, and what they have in common."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np

from crossmodal_jax.pipeline._config import RunConfig
from crossmodal_jax.pipeline._events import OnEvent
from crossmodal_jax.pipeline._folder import naming
from crossmodal_jax.pipeline._run import run
from crossmodal_jax.reporting import write_atomic


def run_seeds(
    config: RunConfig, seeds: Sequence[int], *, on_event: OnEvent | None = None
) -> list[dict[str, float]]:
    """Runs every seed in `<output>/seed-<seed>` and writes their mean to `<output>/metrics.json`.

    Args:
      config: Every choice but the seed (no arrays, no shapes); `resume` and `overwrite` hold for
        each of the runs.
      seeds: Different seeds.
      on_event: Told of the stages of all runs, one run after the other.

    Returns:
      The metrics of each run, in the order of the seeds.

    Raises:
      ValueError: If there is no seed, or one occurs twice.
      FileExistsError: If the folder exists and is neither resumed nor overwritten.
      OSError: If something cannot be written; the message names the path.

    Examples:
      >>> from crossmodal_jax.pipeline import RunConfig, run_seeds
      >>> run_seeds(RunConfig(), ())  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      ValueError: run_seeds: `seeds` must be different numbers, at least one, got []...
    """
    if len(seeds) == 0 or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"run_seeds: `seeds` must be different numbers, at least one, got {list(seeds)}; "
            "name each once."
        )
    if config.output.exists() and not (config.resume or config.overwrite):
        raise FileExistsError(
            f"{config.output} exists; go on with it by --resume, replace it by --overwrite, or "
            "choose another --output."
        )
    with naming(config.output):
        config.output.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in seeds:
        output = config.output / f"seed-{seed}"
        own = dataclasses.replace(config, seed=seed, output=output)
        runs.append(run(own, on_event=on_event))
    text = json.dumps(summarize(runs), indent=1) + "\n"
    write_atomic(config.output / "metrics.json", text)
    return runs


def summarize(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean and sample standard deviation over runs of every metric that all of them have.

    Args:
      runs: Flat metrics of each run (no arrays, no shapes).

    Returns:
      `<key>`, the mean, and `<key>/std`, which is left out for a single run.

    Examples:
      >>> from crossmodal_jax.pipeline._seeds import summarize
      >>> summarize([{"a": 1.0}, {"a": 3.0}])
      {'a': 2.0, 'a/std': 1.4142135623730951}
    """
    found: dict[str, float] = {}
    for key in runs[0]:
        if all(key in metrics for metrics in runs):
            values = np.array([metrics[key] for metrics in runs], np.float64)
            found[key] = float(values.mean())
            if len(runs) > 1:
                found[f"{key}/std"] = float(values.std(ddof=1))
    return found
