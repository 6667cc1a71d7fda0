"""How long a page of 50,000 samples takes: prometheus_client's encoders, ours, and gzip.

`python -m benchmarks.rendering` (`make bench`) prints a table and fails if ours takes over a fifth of the time of
prometheus_client's in either format, or if they differ in a byte.
"""

import gzip
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random
from time import perf_counter

from prometheus_client.exposition import choose_encoder

from exporter.families import Families
from exporter.metric import Sample, counter, gauge
from runbookd.service.exposition import Encoder, encode

FAMILIES, TARGETS, SERIES = 50, 4, 250
ALLOWED_SHARE = 0.2
ROUNDS = 7
# What Prometheus 3 asks for, and what everything else gets.
ACCEPT_HEADERS = {
    "OpenMetrics": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4",
    "text 0.0.4": "",
}


def main() -> None:
    """Measure and print; exits with 1 if it is too slow."""
    targets = [tuple(samples(Random(seed))) for seed in range(TARGETS)]
    page = build(targets)
    line("families made afresh", best(partial(build, targets)), f"{FAMILIES * TARGETS * SERIES:,} samples")
    shares = [compare(name, accept, page) for name, accept in ACCEPT_HEADERS.items()]
    compression(encode(page, choose_encoder("")[0]))
    sys.exit(max(shares) > ALLOWED_SHARE)


def compare(name: str, accept: str, page: Families) -> float:
    """Print both encoders' times, and return ours as a share of prometheus_client's."""
    theirs: Encoder = choose_encoder(accept)[0]
    works = (lambda: theirs(page), lambda: encode(page, theirs))
    rounds = [[seconds(work) for work in works] for _ in range(ROUNDS)]  # in turn: the machine is the same for both
    their_time, our_time = (min(times) for times in zip(*rounds, strict=True))
    share: float = our_time / their_time
    if encode(page, theirs) != theirs(page):
        sys.exit(f"{name}: the pages differ")
    line(f"{name}, prometheus_client", their_time)
    line(f"{name}, ours", our_time, f"{share:.3f} of it")
    return share


def compression(body: bytes) -> None:
    """Print what each gzip level costs and saves."""
    for level in (1, 3, 6, 9):
        compress = partial(gzip.compress, body, level, mtime=0)
        line(f"gzip {level}", best(compress), f"{len(body):,} to {len(compress()):,} bytes")


def build(targets: Sequence[Sequence[Sample]]) -> Families:
    """The page of these targets."""
    families = Families()
    for place, each in enumerate(targets):
        families.add_all(each, "clientforge", f"main{place}")
    return families


def samples(random: Random) -> Iterator[Sample]:
    """One target's samples: names as long as real ones, and by turns counts, seconds, and bytes or timestamps."""
    for number in range(FAMILIES):
        name = f"pg_stat_user_tables_measure_{number}"
        labels = "schemaname", "relname"
        metric = counter(f"{name}_total", "Measured.", *labels) if number % 2 else gauge(name, "Measured.", *labels)
        for series in range(SERIES):
            value = (random.randrange(10_000), random.random() * 100, random.randrange(10**11))[number % 3]
            yield metric(float(value), "public", f"table_{series}")


def line(what: str, elapsed: float, more: str = "") -> None:
    """Print one measurement, in seconds."""
    print(f"{what:32}{elapsed * 1e3:8.1f} ms   {more}")


def best(work: Callable[[], object]) -> float:
    """The least time in seconds of a few rounds: what disturbs it only adds."""
    return min(seconds(work) for _ in range(ROUNDS))


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


if __name__ == "__main__":
    main()
