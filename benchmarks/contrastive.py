"""`python -m benchmarks.contrastive`: contrastive losses beside PyTorch, in one process.

PyTorch and what is built on it are no dependencies; install what is to be compared into an
environment of its own: `pip install -e . torch open_clip_torch`, and on a GPU `inf-cl` and
`siglip-kernel`. What is not there is left out. All are timed in turns: value and gradient of the
mean over the pairs, with a learned scale.
"""

import argparse
import functools
import importlib.metadata
import json
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # two libraries share the card

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import environment, references
from benchmarks.ceilings import matmul_program
from benchmarks.timing import compile_program
from crossmodal_jax import losses
from crossmodal_jax.reporting import write_atomic

SCALE = 20.0
CHECKED = 8192  # rows, at most, on which results are compared with float64
DTYPES = "float32", "bfloat16"
Inputs = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Times, prints a table, and writes a file if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contrastive", description=__doc__)
    parser.add_argument("--n", type=int, default=8192, help="pairs")
    parser.add_argument("--d", type=int, default=512, help="width")
    parser.add_argument("--rounds", type=int, default=5, help="samples of each, in turns")
    parser.add_argument("--no-peers", action="store_true", help="this library alone")
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--output", type=pathlib.Path, help="result file, JSON")
    arguments = parser.parse_args()
    load = environment.load()
    rows = [row for op in ("clip_loss", "siglip_loss") for row in _compare(op, arguments)]
    for row in rows:
        memory = f"{row['peak_bytes'] / 2**20:9.0f} MiB" if row["peak_bytes"] else " " * 13
        print(
            f"{row['op']:12} {row['name']:28} {row['median_s'] * 1e3:10.1f} ms {memory}"
            f"  floor/time {row['floor_ratio']:.2f}  error {row['error']:.0e}"
        )
    if arguments.output is not None:
        result = {
            "device": environment.device(),
            "versions": environment.versions() | _peer_versions(),
            "flags": environment.flags(),
            "commit": environment.commit(),
            "load": {"before": load, "after": environment.load()},
            "command": ["python -m benchmarks.contrastive", *map(str, _words(arguments))],
            "rounds": arguments.rounds,
            "rows": rows,
        }
        write_atomic(arguments.output, json.dumps(result, indent=2, allow_nan=False) + "\n")


def _compare(op: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    makers = {f"jax {d} streamed": functools.partial(_jax, op, d) for d in DTYPES}
    if jax.default_backend() == "gpu":
        makers["jax bfloat16 mosaic"] = functools.partial(_jax, op, "bfloat16", way="mosaic")
    if not arguments.no_peers:
        makers |= _peers(op, compiled=arguments.compile)
    n, d = arguments.n, arguments.d
    num = min(n, CHECKED)
    checked = _embeddings(num, d)
    reference = getattr(references, op)(np.full(num, 1 / num), *checked, SCALE)[1]
    errors = {name: _error(make(checked)[0](), reference) for name, make in makers.items()}
    inputs = _embeddings(n, d)
    runs = {name: make(inputs) for name, make in makers.items()}
    products = {
        (dtype, *shape): matmul_program((dtype, *shape)).run
        for dtype in DTYPES
        for shape in ((256, d, n), (512, d, n), (256, n, d), (2048, 2048, 2048))
    }
    times = _in_turns({name: run for name, (run, _) in runs.items()} | products, arguments.rounds)
    rates = {gemm: 2 * np.prod(gemm[1:]) / np.median(times[gemm]) for gemm in products}
    # What the gradient needs at least: the logits of a softmax are made again.
    flops = (8 if op == "clip_loss" else 6) * n * n * d
    return [
        {
            "op": op,
            "name": name,
            "n": n,
            "d": d,
            "median_s": float(np.median(times[name])),
            "quartiles_s": np.quantile(times[name], [0.25, 0.75]).tolist(),
            "peak_bytes": runs[name][1],
            "floor_ratio": float(flops / _fastest(rates, name) / np.median(times[name])),
            "error": error,
        }
        for name, error in errors.items()
    ]


def _in_turns(runs: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[float]]:
    for run in runs.values():
        run()
    samples: dict[Any, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            samples[name].append(time.perf_counter() - start)
    return samples


def _fastest(rates: Mapping[Any, float], name: str) -> float:
    """FLOP/s of the fastest product of the dtype in the name."""
    return max(rate for (dtype, *_), rate in rates.items() if dtype in name)


def _embeddings(n: int, d: int) -> Inputs:
    rng = np.random.default_rng(0)
    common, *noises = rng.standard_normal((3, n, d), np.float32)
    x, y = (common + 0.9 * noise for noise in noises)
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))
    return x, y


def _error(got: Any, reference: Any) -> float:
    """Largest relative error, by norm, of the gradients by x and y."""
    pairs = zip(got[:2], reference[:2], strict=True)
    return max(float(np.linalg.norm(np.float64(g) - r) / np.linalg.norm(r)) for g, r in pairs)


def _jax(
    op: str, dtype: str, inputs: Inputs, *, way: str = "streamed"
) -> tuple[Callable[[], Any], int | None]:
    def mean(x: Any, y: Any, scale: Any) -> Any:
        loss = getattr(losses, op)
        options = {"precision": dtype, "implementation": way}
        return jnp.mean(loss(x, y, logit_scale=scale, **options))

    arrays = *map(jnp.asarray, inputs), jnp.float32(SCALE)
    program = compile_program(jax.value_and_grad(mean, (0, 1, 2)), arrays)
    return lambda: program.run()[1], program.temp_bytes


def _peers(op: str, *, compiled: bool) -> dict[str, Callable[[Inputs], Any]]:
    """The formulas of OpenCLIP in PyTorch, and kernels for a GPU, as far as they are installed."""
    try:
        import torch
    except ImportError:
        print("without torch, which is not installed")
        return {}
    formula = _torch_clip if op == "clip_loss" else _torch_siglip
    found = {f"torch {d} eager": (formula, d) for d in DTYPES}
    if compiled:
        found["torch bfloat16 compile"] = (torch.compile(formula), "bfloat16")
    found |= _open_clip(op)
    if torch.cuda.is_available():
        found |= _gpu_kernels(op)
    return {name: functools.partial(_torch, *loss) for name, loss in found.items()}


def _open_clip(op: str) -> dict[str, tuple[Callable[..., Any], str]]:
    """The losses of OpenCLIP as it runs them: float32, and bfloat16 by autocast."""
    try:
        import torch
        from open_clip.loss import ClipLoss, SigLipLoss
    except ImportError as error:
        print(f"without {error.name}, which is not installed")
        return {}

    def loss(x: Any, y: Any, scale: Any) -> Any:
        if op == "clip_loss":
            return ClipLoss()(x, y, scale)
        return SigLipLoss()(x, y, scale, torch.tensor(-10.0, device=x.device))

    def automatic(x: Any, y: Any, scale: Any) -> Any:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return loss(x, y, scale)

    return {"open_clip float32": (loss, "float32"), "open_clip bfloat16": (automatic, "float32")}


def _gpu_kernels(op: str) -> dict[str, tuple[Callable[..., Any], str]]:
    try:
        if op == "clip_loss":
            from inf_cl import cal_flash_loss

            def both(x: Any, y: Any, scale: Any) -> Any:
                return (cal_flash_loss(x, y, scale=scale) + cal_flash_loss(y, x, scale=scale)) / 2

            return {"inf-cl bfloat16": (both, "bfloat16")}
        import torch
        from siglip_kernel import fused_siglip_loss

        def fused(x: Any, y: Any, scale: Any) -> Any:
            return fused_siglip_loss(x, y, torch.log(scale), torch.tensor(-10.0, device=x.device))

        return {"siglip-kernel bfloat16": (fused, "bfloat16")}
    except ImportError as error:
        print(f"without {error.name}, which is not installed")
        return {}


def _torch(
    loss: Callable[..., Any], dtype: str, inputs: Inputs
) -> tuple[Callable[[], Any], int | None]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    x, y = (torch.from_numpy(z).to(device, getattr(torch, dtype)) for z in inputs)
    scale = torch.tensor(SCALE, device=device)
    arguments = [z.requires_grad_() for z in (x, y, scale)]

    def run() -> Any:
        gradients = torch.autograd.grad(loss(*arguments), arguments)
        return [g.float().cpu().numpy() if device == "cpu" else g for g in gradients]

    if device == "cpu":
        return run, None

    def synchronised() -> Any:
        gradients = run()
        torch.cuda.synchronize()
        return [g.float().cpu().numpy() for g in gradients] if len(inputs[0]) <= CHECKED else None

    torch.cuda.reset_peak_memory_stats()
    synchronised()
    return synchronised, torch.cuda.max_memory_allocated()


def _torch_clip(x: Any, y: Any, scale: Any) -> Any:
    import torch

    logits = scale * (x @ y.T).float()
    labels = torch.arange(len(x), device=x.device)
    entropy = torch.nn.functional.cross_entropy
    return (entropy(logits, labels) + entropy(logits.T, labels)) / 2


def _torch_siglip(x: Any, y: Any, scale: Any) -> Any:
    import torch

    logits = scale * (x @ y.T).float() - 10
    signs = 2 * torch.eye(len(x), device=x.device) - 1
    return -torch.nn.functional.logsigmoid(signs * logits).sum() / len(x)


def _peer_versions() -> dict[str, str]:
    names = "torch", "open_clip_torch", "inf-cl", "siglip-kernel"
    there = {d.metadata["Name"] for d in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in names if name in there}


def _words(arguments: argparse.Namespace) -> list[Any]:
    flags = [f"--{k.replace('_', '-')}" for k in ("no_peers", "compile") if getattr(arguments, k)]
    return ["--n", arguments.n, "--d", arguments.d, "--rounds", arguments.rounds, *flags]


if __name__ == "__main__":
    main()
