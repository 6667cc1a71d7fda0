"""The log of a simulation: silent, but an error of the remediator's own code ends the simulation."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from typing import Any

import structlog


class SimulationFailed(Exception):
    """The remediator's own code has failed within the simulation; its result would be wrong."""


@contextmanager
def faults_raised() -> Iterator[None]:
    """Suppress the log while the block runs, and raise the first error that it would show.

    Raises:
        SimulationFailed: the code that is simulated has failed.
    """
    faults: list[BaseException] = []

    def note(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        error = _error_of(event.get("exc_info"))
        if error is not None:
            faults.append(error)
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[note],
        wrapper_class=structlog.make_filtering_bound_logger(ERROR),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
    if faults:
        raise SimulationFailed(f"the simulation has failed: {type(faults[0]).__name__}: {faults[0]}") from faults[0]


def _error_of(exc_info: Any) -> BaseException | None:
    if exc_info is True:
        return sys.exc_info()[1]
    return exc_info if isinstance(exc_info, BaseException) else None
