"""Measures a page of 50,000 series: prometheus_client, the exporter and compression.

`python -m benchmarks.rendering` (`make bench`) prints a table. It fails if the exporter takes over 20 % of the time
of prometheus_client in either format, with all values changed, or if the pages differ in a byte.
"""

import argparse
import gzip
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from random import Random
from time import perf_counter

from isal import igzip
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from exporter.metric import Sample, counter, gauge
from exporter.metrics_page import MetricsPage
from exporter.series import TargetSeries
from runbookd.service.exposition import Format

FAMILIES, TARGETS, SERIES = 50, 4, 250
ALLOWED_SHARE = 0.2
ROUNDS = 7
# The format that Prometheus 3 requests, and the default for other clients.
ACCEPT_HEADERS = {
    "OpenMetrics": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4",
    "text 0.0.4": "",
}
METRICS = [
    (counter if number % 2 else gauge)(
        f"pg_stat_user_tables_measure_{number}{'_total' if number % 2 else ''}", "Measured.", "schemaname", "relname"
    )
    for number in range(FAMILIES)
]
TargetSamples = Sequence[Sequence[Sample]]


class PeerPage(Collector):
    """The same samples as families of prometheus_client, made for one page as its users do."""

    def __init__(self, targets: TargetSamples) -> None:
        self._targets = targets

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield the families."""
        for place, metric in enumerate(METRICS):
            kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=("stack", "target", *metric.labels))
            for number, samples in enumerate(self._targets):
                for sample in samples[place * SERIES : (place + 1) * SERIES]:
                    family.add_metric(("clientforge", f"main{number}", *sample.labels), sample.value)
            yield family


def main() -> None:
    """Measure and print; exit with 1 if the exporter is too slow."""
    scrapes = [[tuple(samples(Random(seed + scrape))) for seed in range(TARGETS)] for scrape in (0, TARGETS)]
    shares = [compare(name, Format.accepted(accept), scrapes) for name, accept in ACCEPT_HEADERS.items()]
    text = Format.accepted("")
    series = new_series()
    page(scrapes[0], series, text)
    line("unchanged values", best(lambda: page(scrapes[0], series, text)))
    compression(page(scrapes[0], series, text))
    sys.exit(max(shares) > ALLOWED_SHARE)


def compare(name: str, format: Format, scrapes: Sequence[TargetSamples]) -> float:
    """Print the times of both if every value changes; return the exporter's share."""
    series = new_series()
    if page(scrapes[0], series, format) != format.encode([PeerPage(scrapes[0])]):
        sys.exit(f"{name}: the pages differ")
    theirs, ours = [], []
    for _, targets in zip(range(ROUNDS), cycle(reversed(scrapes)), strict=False):  # in turn: one machine for both
        theirs.append(seconds(partial(format.encode, [PeerPage(targets)])))
        ours.append(seconds(partial(page, targets, series, format)))
    share = min(ours) / min(theirs)
    line(f"{name}, prometheus_client", min(theirs), f"{FAMILIES * TARGETS * SERIES:,} samples")
    line(f"{name}, the exporter", min(ours), f"{share:.3f} of it")
    return share


def new_series() -> list[TargetSeries]:
    """Return the targets before their first scrape."""
    return [TargetSeries(stack="clientforge", target=f"main{place}") for place in range(TARGETS)]


def page(targets: TargetSamples, series: Sequence[TargetSeries], format: Format) -> bytes:
    """Return the page of these targets."""
    page = MetricsPage()
    for each, samples in zip(series, targets, strict=True):
        page.add(each, samples)
    return page.encode(format)


def compression(body: bytes) -> None:
    """Print the time and the size of each level of zlib and ISA-L."""
    levels = {"zlib": (gzip.compress, (1, 3, 6, 9)), "isal": (igzip.compress, (0, 1, 2, 3))}
    for name, (function, some) in levels.items():
        for level in some:
            compress = partial(function, body, level, mtime=0)
            line(f"{name} {level}", best(compress), f"{len(body):,} to {len(compress()):,} bytes")


def samples(random: Random, count: int = SERIES) -> Iterator[Sample]:
    """Yield the samples of a target: in turn counts, seconds, and bytes or timestamps."""
    for number, metric in enumerate(METRICS):
        for series in range(count):
            value = (random.randrange(10_000), random.random() * 100, random.randrange(10**11))[number % 3]
            yield metric(float(value), "public", f"table_{series}")


def line(what: str, elapsed: float, more: str = "") -> None:
    """Print one measurement, in seconds."""
    print(f"{what:32}{elapsed * 1e3:8.1f} ms   {more}")


def best(work: Callable[[], object]) -> float:
    """Return the shortest of a few rounds in seconds: disturbances only add time."""
    return min(seconds(work) for _ in range(ROUNDS))


def seconds(work: Callable[[], object]) -> float:
    """Return the time that `work` takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.rendering", description=__doc__).parse_args()
    main()
