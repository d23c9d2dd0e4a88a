"""Start of several processes."""

import os

import jax


def initialize(
    *,
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Joins the other processes; call it before anything else of JAX.

    This is `jax.distributed.initialize`, with what is not given read from the environment, where
    JAX itself reads the first only: `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and
    `JAX_PROCESS_ID`. If none of the three is known anywhere, JAX asks the launcher: SLURM, Open
    MPI, Kubernetes or a TPU pod. A single process needs no `initialize`. (No arrays, no shapes.)

    Args:
      coordinator_address: `"host:port"` of process 0, reachable from all.
      num_processes: How many processes there are.
      process_id: Which of them this is, from 0.

    Raises:
      ValueError: If some of the three are known and others are not, if one of the numbers is no
        number, or if the process is not one of `num_processes`.
      RuntimeError: If the process has been initialised before.

    Examples:
      >>> initialize(coordinator_address="127.0.0.1:1234", num_processes=2, process_id=2)
      Traceback (most recent call last):
      ValueError: initialize: `process_id` must lie in [0, 2), got 2; number the processes from 0.
    """
    known = {
        "JAX_COORDINATOR_ADDRESS": coordinator_address,
        "JAX_NUM_PROCESSES": num_processes,
        "JAX_PROCESS_ID": process_id,
    }
    known = {
        name: os.environ.get(name) if given is None else given for name, given in known.items()
    }
    missing = [name for name, value in known.items() if value is None]
    if len(missing) == len(known):
        jax.distributed.initialize()
        return
    if missing:
        raise ValueError(
            "initialize: address, number of processes and process id must be given together, got "
            f"no {' and no '.join(missing)}; pass them or set these variables."
        )
    address = str(known["JAX_COORDINATOR_ADDRESS"])
    count = _whole("JAX_NUM_PROCESSES", known["JAX_NUM_PROCESSES"])
    index = _whole("JAX_PROCESS_ID", known["JAX_PROCESS_ID"])
    if not 0 <= index < count:
        raise ValueError(
            f"initialize: `process_id` must lie in [0, {count}), got {index}; number the "
            "processes from 0."
        )
    jax.distributed.initialize(coordinator_address=address, num_processes=count, process_id=index)


def _whole(name: str, value: str | int | None) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ValueError(f"initialize: {name} must be a whole number, got {value!r}.") from None
