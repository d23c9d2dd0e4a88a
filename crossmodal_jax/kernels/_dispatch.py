"""Chooses among several implementations of one operation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossmodal_jax._checks import check_choice


def dispatch(
    name: str,
    implementations: Mapping[str, Callable[..., Any]],
    implementation: str | Sequence[str] | None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Runs the first implementation that supports the arguments.

    An implementation says "not here" by raising `NotImplementedError` from what is known while
    tracing: shapes, dtypes, platform. Any other error is its own and passes through.

    Args:
      name: Name of the operation, for messages.
      implementations: Functions of one signature, in order of preference; the last one supports
        everything.
      implementation: None tries all of them in that order. A string runs that one, and its
        error is the caller's error. A sequence of strings is tried in its own order.
      *args: Arguments of the implementation.
      **kwargs: Keyword arguments of the implementation.

    Returns:
      What the implementation returns.

    Raises:
      ValueError: If `implementation` names none of `implementations`, or is an empty sequence.
      NotImplementedError: If none of those asked for supports the arguments; the message holds
        the reason of each.

    Examples:
      >>> def fast(x):
      ...   raise NotImplementedError("needs a GPU")
      >>> table = {"fast": fast, "xla": abs}
      >>> dispatch("absolute", table, None, -2)
      2
      >>> dispatch("absolute", table, "fast", -2)
      Traceback (most recent call last):
      ...
      NotImplementedError: absolute: no implementation asked for can run here: 'fast' (needs a
      GPU); pass implementation=None.
    """
    if implementation is None:
        order = list(implementations)
    else:
        order = [implementation] if isinstance(implementation, str) else list(implementation)
    for choice in order:
        check_choice(name, "implementation", choice, implementations)
    if not order:
        raise ValueError(
            f"{name}: `implementation` must name at least one of "
            f"{', '.join(map(repr, implementations))}, got an empty sequence; pass None for the "
            "default."
        )
    refusals = []
    for choice in order:
        try:
            return implementations[choice](*args, **kwargs)
        except NotImplementedError as error:
            refusals.append((choice, error))
    reasons = "; ".join(f"{choice!r} ({error})" for choice, error in refusals)
    raise NotImplementedError(
        f"{name}: no implementation asked for can run here: {reasons}; pass implementation=None."
    ) from refusals[-1][1]
