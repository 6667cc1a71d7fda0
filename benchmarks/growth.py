"""Measure how costs grow with the size of what is watched, and the exponent of each curve.

`python -m benchmarks.growth` measures the small sizes (five minutes); `--large` adds the largest ones, which take half
an hour and 20 GB to fill. `--only NAME` measures some curves, and `--write` writes docs/reference/benchmarks.md.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log
from statistics import linear_regression

from benchmarks import curves
from benchmarks.page import write_row

Measure = Callable[[Sequence[int]], Iterator[float]]


@dataclass(frozen=True)
class Curve:
    """A cost by size. `title` says what is measured, `large` are sizes that take long to fill."""

    name: str
    title: str
    measure: Measure
    sizes: tuple[int, ...]
    large: tuple[int, ...] = ()


CURVES = (
    Curve("stacks", "CPU of a page, by stacks with a Redis and a queue each", curves.stacks, (1, 10, 50, 200)),
    Curve(
        "queues", "CPU of reading queues (the first 1,000 are read)", curves.queue_readings, (1, 10, 100, 1000, 2000)
    ),
    Curve("tables", "duration of the statement, by tables", curves.tables, (100, 1000, 5000), (20_000,)),
    Curve("statements", "duration of the statement, by statements kept", curves.statements, (100, 1000, 5000)),
    Curve("samples", "duration of a page, by samples", curves.samples, (1000, 10_000, 50_000, 200_000)),
    Curve("objects", "CPU of reading a bucket, by objects", curves.objects, (1000, 10_000, 100_000), (1_000_000,)),
    Curve(
        "ledger",
        "start of the remediator, by runs in its ledger",
        curves.ledger_start,
        (1000, 10_000, 100_000),
        (1_000_000,),
    ),
    Curve("senders", "duration per delivery, by webhook senders", curves.senders, (1, 4, 16, 64, 256)),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="add the sizes that take long to fill")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in CURVES], help="measure these curves")
    parser.add_argument("--write", action="store_true", help="write docs/reference/benchmarks.md")
    options = parser.parse_args()
    for curve in CURVES:
        if not options.only or curve.name in options.only:
            row = growth_row(curve, curve.sizes + (curve.large if options.large else ()))
            print(row, flush=True)
            if options.write:
                write_row(curve.title, row)


def growth_row(curve: Curve, sizes: Sequence[int]) -> str:
    """Measure a curve; return its line of the table."""
    times = list(curve.measure(sizes))
    points = ", ".join(f"{size:,}: {_duration(seconds)}" for size, seconds in zip(sizes, times, strict=True))
    return f"| {curve.title} | {points} | {exponent(sizes, times):.2f} | {exponent(sizes[-2:], times[-2:]):.2f} |"


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Return the slope of the curve on logarithmic axes: 1 is linear, 0 is constant."""
    return linear_regression([log(size) for size in sizes], [log(seconds) for seconds in times]).slope


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"


if __name__ == "__main__":
    main()
