"""A value of a known series costs few bytecode instructions: they are counted, because times vary."""

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import pytest

from exporter.metric import Rows, Sample, gauge
from exporter.metrics_page import MetricsPage
from exporter.series import TargetSeries

METRICS = tuple(gauge(f"measure_{number}", "Measured.", "relname") for number in range(20))
OBJECTS = 100
VALUES = len(METRICS) * OBJECTS


def rows(value: float) -> list[Rows]:
    return [Rows(METRICS, [((f"table_{number}",), [value + number % 2] * len(METRICS)) for number in range(OBJECTS)])]


def samples(value: float) -> list[Sample]:
    return [metric(value + number % 2, f"table_{number}") for metric in METRICS for number in range(OBJECTS)]


def instructions(work: Callable[[], object]) -> int:
    """Return the number of bytecode instructions that `work` executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(previous)
    return count


@pytest.mark.parametrize(
    ("made", "change", "most"),
    [(rows, 0.0, 50), (rows, 1.0, 110), (samples, 0.0, 90), (samples, 1.0, 140)],
    ids=["same rows", "changed rows", "same samples", "changed samples"],
)
def test_known_value_costs_few_instructions(
    made: Callable[[float], Iterable[Sample | Rows]], change: float, most: int
) -> None:
    series = TargetSeries(stack="shop", target="main")
    MetricsPage().add(series, made(0.0))  # half of the values of a page are zero
    second = made(change)
    assert instructions(lambda: MetricsPage().add(series, second)) <= most * VALUES
