import json
import math
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
TINY = ["--quick", "--rounds", "2", "--only", "softmax_cross_entropy"]


def run(*words):
    environment = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, words)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_result_file(tmp_path):
    path = tmp_path / "result.json"
    done = run(*TINY, "--output", path)
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == ["result.json"]
    result = json.loads(path.read_text())
    assert set(result) >= {
        "device",
        "versions",
        "peers",
        "flags",
        "commit",
        "load",
        "ceilings",
        "cases",
    }
    assert result["device"]["platform"] == "cpu"
    assert {"python", "jax", "numpy"} <= set(result["versions"])
    assert all(entry["flops_per_s"] > 0 for entry in result["ceilings"]["matmul"])
    assert all(entry["bytes_per_s"] > 0 for entry in result["ceilings"]["copy"])
    assert [case["mode"] for case in result["cases"]] == ["forward", "forward_backward"]
    for case in result["cases"]:
        assert case["suite"] == "losses"
        assert all(isinstance(case[name], str) for name in ("op", "spec", "implementation"))
        lower, upper = case["quartiles_s"]
        assert 0 < lower <= case["median_s"] <= upper
        assert case["rows_per_s"] == pytest.approx(4096 / case["median_s"])
        assert 0 < case["floor_ratio"] < math.inf
        assert case["above_ceiling"] == (case["floor_ratio"] > 1)
        assert case["compile_s"] > 0
        assert case["temp_bytes"] >= 0
        assert 0 <= case["error"] < 1e-5
    # Not a terminal: plain text, one line per case.
    assert sum("softmax_cross_entropy" in line for line in done.stdout.splitlines()) == 2
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("target", ["missing/result.json", "folder"])
def test_unwritable_output_is_one_line_and_exit_2(tmp_path, target):
    (tmp_path / "folder").mkdir()
    path = tmp_path / target
    done = run(*TINY, "--output", path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert os.listdir(tmp_path) == ["folder"]


def test_a_full_disk_is_one_line_and_exit_2(tmp_path, load, monkeypatch, capsys):
    from crossmodal_jax import reporting

    def full(path, content):
        raise reporting.WriteError(28, f"cannot write {path}: No space left on device")

    monkeypatch.setattr(reporting, "write_atomic", full)
    monkeypatch.setattr(
        load("suite"), "run", lambda *_, **__: (load("ceilings").Ceilings({}, {}, {}), [])
    )
    path = tmp_path / "result.json"
    assert load("__main__").main([*TINY, "--output", str(path)]) == 2
    error = capsys.readouterr().err
    assert error == f"python -m benchmarks: cannot write {path}: No space left on device\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quick", "--only", "nonesuch"], "there are fusion/attention_weighted"),
        (["--rounds", "0"], "at least 1, got '0'"),
        (["--quik"], "unrecognized arguments: --quik"),
    ],
)
def test_bad_arguments(words, message):
    done = run(*words)
    assert done.returncode == 2
    assert message in done.stderr


def test_names_are_unique_and_every_room_is_there(load):
    for quick in (True, False):
        names = [case.name for case in load("suite").select(quick=quick)]
        assert len(set(names)) == len(names)
        suites = {name.split("/")[0] for name in names}
        assert suites == {"fusion", "transforms", "losses", "retrieval", "transport", "training"}


def test_programs_are_timed_in_turns(load):
    timing = load("timing")
    calls = []
    programs = {
        name: timing.Program(lambda name=name: calls.append(name), 0.0, 0) for name in "abc"
    }
    times = timing.time_in_turns(programs, rounds=3, sample_s=0.0)
    assert "".join(calls) == "aabbcc" + "abc" * 3  # two each to learn how long a call takes
    assert all(t.lower <= t.median <= t.upper for t in times.values())


def test_floor_is_the_larger_of_work_and_traffic(load):
    ceilings = load("ceilings").Ceilings(
        matmul={
            ("float32", 8, 8, 8): 100.0,
            ("float32", 8, 2, 8): 50.0,
            ("bfloat16", 8, 8, 8): 400.0,
        },
        memory={(1, 1000): 10.0, (1, 10): 40.0, (3, 1000): 20.0},
        fft={64: 5.0},
    )
    assert ceilings.floor_s("float32", flops=200.0, num_bytes=1.0) == 2.0  # the fastest product
    assert ceilings.floor_s("bfloat16", flops=200.0, num_bytes=1.0) == 0.5
    assert ceilings.floor_s("float32", flops=0.0, num_bytes=10.0) == 0.25  # from a cache
    assert ceilings.floor_s("float32", flops=0.0, num_bytes=100.0) == 5.0  # too large for it
    assert ceilings.floor_s("float32", flops=0.0, num_bytes=1e6) == 5e4
    assert ceilings.floor_s("float32", flops=200.0, num_bytes=1.0, ffts=(10, 64)) == 4.0  # a sum


def test_a_time_below_the_floor_is_flagged(load):
    suite, timing = load("suite"), load("timing")
    case = suite.select(quick=True, only="clip_loss/float32")[0]
    program = timing.Program(lambda: None, 1.0, None)
    ceilings = load("ceilings").Ceilings({("float32", 1, 1, 1): case.flops}, {(1, 1): 1e30}, {})
    for seconds, flagged in ((0.5, True), (2.0, False)):
        row = suite._row(case, program, (8, math.nan), timing.Timing(*[seconds] * 3), ceilings)
        assert row["above_ceiling"] is flagged
        assert row["floor_ratio"] == pytest.approx(1 / seconds)
        assert row["rows_per_s"] == pytest.approx(case.rows / seconds)
    assert row["error"] is None


def test_a_case_too_large_for_its_reference_is_compared_on_other_inputs(load):
    case = load("case").Case(
        suite="a",
        op="b",
        spec="c",
        implementation="d",
        mode="forward",
        function=lambda x: 2 * x,
        make_inputs=lambda: (np.full(3, np.float32(np.nan)),),
        make_checked=lambda: (np.ones(3, np.float32),),
        reference=lambda x: 2.5 * x,
    )
    program, (num_bytes, error) = load("suite")._prepare(case)
    assert error == pytest.approx(0.2)
    assert num_bytes == 24
    assert np.isnan(program.run()).all()  # what is timed


def test_relative_error(load):
    case = load("case")
    expected = {"a": np.array([4.0, 0.0]), "b": np.zeros(2)}
    assert case.relative_error(expected, expected) == 0
    got = {"a": np.array([4.0, 0.4]), "b": np.array([0.0, 0.2])}
    assert case.relative_error(got, expected) == pytest.approx(0.2)  # b has no scale of its own
    got["a"][0] = np.nan
    assert math.isnan(case.relative_error(got, expected))
    with pytest.raises(ValueError, match="must have shape"):
        case.relative_error({"a": np.zeros(3), "b": np.zeros(2)}, expected)
    with pytest.raises(ValueError, match="must have structure"):
        case.relative_error({"a": np.zeros(2)}, expected)


def test_references_know_absence(load):
    references = load("references")
    present = np.array([[True, False], [False, False]])
    xs = [np.array([[2.0], [np.nan]]), np.array([[np.nan], [np.nan]])]
    output, (d_xs, _) = references.weighted_sum(
        np.ones((2, 1)),
        xs,
        types.SimpleNamespace(kernels=[np.array([[3.0]])] * 2, logits=np.zeros(2)),
        present,
    )
    np.testing.assert_array_equal(output, [[6.0], [0.0]])
    np.testing.assert_array_equal(d_xs[0], [[3.0], [0.0]])
    np.testing.assert_array_equal(d_xs[1], [[0.0], [0.0]])
