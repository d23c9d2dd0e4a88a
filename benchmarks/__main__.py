"""`python -m benchmarks`: measures, prints a table, writes a result file."""

import argparse
import json
import pathlib
import sys
import tempfile
from collections.abc import Sequence

PROGRAM = "python -m benchmarks"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the suite; returns 0, 2 after an error was explained, or 130 after Ctrl-C."""
    arguments = _parse(argv)
    try:
        if arguments.output is not None:
            _check_writable(arguments.output)
    except OSError as error:
        return _fail(f"cannot write {arguments.output}: {error.strerror}")
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        _fail("interrupted; nothing was written.")
        return 130


def _run(arguments: argparse.Namespace) -> int:
    # Imported here, so that --help and a bad path are answered at once.
    from benchmarks import environment, suite, table
    from crossmodal_jax.reporting import WriteError, write_atomic

    cases = suite.select(quick=arguments.quick, only=arguments.only)
    if not cases:
        known = sorted({f"{case.suite}/{case.op}" for case in suite.select(quick=True)})
        return _fail(f"no case contains {arguments.only!r}; there are {', '.join(known)}.")
    effort = suite.QUICK if arguments.quick else suite.FULL
    if arguments.rounds is not None:
        effort = effort._replace(rounds=arguments.rounds)
    load_before = environment.load()
    ceilings, rows = suite.run(cases, effort, on_progress=_progress)
    _progress("")
    table.print_table(rows)
    for peer, version in environment.peers().items():
        if version is None:
            print(f"without {peer}, which is not installed")
    for row in rows:
        if row["above_ceiling"]:
            print(
                f"warning: {row['op']} {row['spec']} {row['mode']} beats the ceiling by "
                f"{row['floor_ratio']:.2f}: a wrong count, an optimised-away result, or a "
                "machine that was busy with something else.",
                file=sys.stderr,
            )
    if arguments.output is not None:
        result = {
            "device": environment.device(),
            "versions": environment.versions(),
            "peers": environment.peers(),
            "flags": environment.flags(),
            "commit": environment.commit(),
            "load": {"before": load_before, "after": environment.load()},
            "command": [PROGRAM, *arguments.words],
            "rounds": effort.rounds,
            "ceilings": ceilings.as_json(),
            "cases": rows,
        }
        try:
            write_atomic(arguments.output, json.dumps(result, indent=2, allow_nan=False) + "\n")
        except WriteError as error:
            return _fail(str(error.strerror))
        print(f"wrote {arguments.output}")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(PROGRAM, description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="small workloads, within a minute")
    parser.add_argument("--output", type=pathlib.Path, metavar="FILE.json", help="result file")
    parser.add_argument(
        "--only",
        default="",
        metavar="SUBSTRING",
        help="cases whose suite/op/spec/implementation/mode contains it",
    )
    parser.add_argument("--rounds", type=_positive, help="samples of every case")
    words = list(sys.argv[1:] if argv is None else argv)
    return parser.parse_args(words, argparse.Namespace(words=words))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _check_writable(path: pathlib.Path) -> None:
    """Raises an OSError now rather than after a minute of measuring."""
    if path.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def _progress(text: str) -> None:
    if sys.stderr.isatty():  # one line that replaces itself, and an empty one at the end
        print(f"\r\033[K{text}", end="", flush=True, file=sys.stderr)


def _fail(message: str) -> int:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
