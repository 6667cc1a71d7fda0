"""The costs of the exporters beside each other: numbers per scrape, ratios and goals."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from benchmarks.server_counters import ServerCounters


@dataclass
class Cost:
    """The cost of all scrapes of one exporter; seconds, and MiB of memory after each round."""

    name: str
    times: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    cpu: float = 0.0
    idle_cpu: float = 0.0
    servers: ServerCounters = field(default_factory=ServerCounters)
    stale: list[str] = field(default_factory=list)
    series: int = 0
    page_bytes: int = 0
    gzip_bytes: int = 0

    def per_scrape(self, total: float) -> float:
        """Return a total as the part of one scrape."""
        return total / len(self.times)


@dataclass(frozen=True)
class Row:
    """A line of the table, with its goal.

    `goal` is the highest allowed ratio of ours to the other two together, or None.
    """

    title: str
    value: Callable[[Cost], float]
    goal: float | None = None
    digits: int = 1


ROWS = (
    Row("CPU of the exporter, ms", lambda cost: 1000 * cost.per_scrape(cost.cpu), 0.20),
    Row("latency, median, ms", lambda cost: 1000 * median(cost.times), 0.30),
    Row("latency, p99, ms", lambda cost: 1000 * quantiles(cost.times, n=100, method="inclusive")[98], 0.35),
    Row("memory (RSS), MiB", lambda cost: median(cost.memory), 1.3),
    Row("CPU of PostgreSQL, ms", lambda cost: 1000 * cost.per_scrape(cost.servers.postgres_cpu), 0.20),
    Row("statements", lambda cost: cost.per_scrape(cost.servers.statements)),
    Row("CPU of Redis, ms", lambda cost: 1000 * cost.per_scrape(cost.servers.redis_cpu), 1.0, 2),
    Row("Redis commands", lambda cost: cost.per_scrape(cost.servers.commands), 1.0),
    Row("new connections", lambda cost: cost.per_scrape(_connections(cost)), 0.0, 2),
    Row("series", lambda cost: cost.series, digits=0),
    Row("bytes of the page", lambda cost: cost.page_bytes, digits=0),
    Row("bytes sent (gzip)", lambda cost: cost.gzip_bytes, digits=0),
    Row("CPU while not scraped, ms per minute", lambda cost: 60_000 * cost.idle_cpu, digits=0),
)


ALLOWED_OVER_FLOOR = 1.3
"""A goal counts as reached if the exporter costs at most this many times the floor."""


def comparison_table(costs: Sequence[Cost]) -> str:
    """Return the table in Markdown: the exporters to compare with, ours, and the floor."""
    header = ["per scrape", *(cost.name for cost in costs), "ratio", "goal", "ours to floor"]
    rows = [[row.title, *_cells(row, costs), *_verdict(row, costs)] for row in ROWS]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ["---", *["---:"] * (len(header) - 1)], *rows)]
    return "\n".join(lines)


def missed_goals(costs: Sequence[Cost]) -> list[str]:
    """Return a line for each goal that was missed, and for each page that showed an old value."""
    stale = [f"{cost.name} showed an old value: {each}" for cost in costs for each in cost.stale]
    return [*stale, *_missed(costs)]


def ratio(row: Row, costs: Sequence[Cost]) -> float | None:
    """Return ours in proportion to the first two together, or None if their sum is 0."""
    postgres, redis, ours, _ = map(row.value, costs)
    return ours / (postgres + redis) if postgres + redis else None


def ratio_to_floor(row: Row, costs: Sequence[Cost]) -> float | None:
    """Return ours in proportion to the floor, or None if that is 0."""
    *_, ours, floor = map(row.value, costs)
    return ours / floor if floor else None


def _missed(costs: Sequence[Cost]) -> Iterator[str]:
    for row in ROWS:
        value, over_floor = ratio(row, costs), ratio_to_floor(row, costs)
        near_floor = over_floor is not None and over_floor <= ALLOWED_OVER_FLOOR
        if row.goal is not None and value is not None and value > row.goal and not near_floor:
            yield f"{row.title}: {value:.2f} of the others; the goal is {row.goal:g}"


def _cells(row: Row, costs: Sequence[Cost]) -> Iterator[str]:
    return (f"{row.value(cost):,.{row.digits}f}" for cost in costs)


def _verdict(row: Row, costs: Sequence[Cost]) -> Iterator[str]:
    value, over_floor = ratio(row, costs), ratio_to_floor(row, costs)
    yield "" if value is None else f"{value:.2f}"
    yield "" if row.goal is None else f"{row.goal:g}"
    yield "" if over_floor is None or row.goal is None else f"{over_floor:.2f}"


def _connections(cost: Cost) -> float:
    return cost.servers.postgres_connections + cost.servers.redis_connections
