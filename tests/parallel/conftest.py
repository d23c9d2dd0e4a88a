"""Two real processes on loopback."""

import os
import socket
import subprocess
import sys

import pytest


@pytest.fixture
def two_processes():
    """Runs a program in two processes of two devices each.

    The program calls `parallel.initialize()` and prints "RESULT", its rank and numbers; what comes
    back are the ranks and numbers, sorted.
    """

    def run(program):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]

        def start(rank):
            environment = {
                **os.environ,
                "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
                "JAX_NUM_PROCESSES": "2",
                "JAX_PROCESS_ID": str(rank),
                "JAX_NUM_CPU_DEVICES": "2",
                "JAX_PLATFORMS": "cpu",
            }
            return subprocess.Popen(
                [sys.executable, "-c", program],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        processes = [start(rank) for rank in range(2)]
        outputs = [process.communicate(timeout=240) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
        lines = [
            next(line for line in out.splitlines() if line.startswith("RESULT"))
            for out, _ in outputs
        ]
        return sorted([float(word) for word in line.split()[1:]] for line in lines)

    return run
