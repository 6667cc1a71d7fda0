"""The thresholds of the past: where a number has changed since, the alerts before it fired by another one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from runbookctl.replay.history import History
from runbookctl.replay.prometheus import MAX_SERIES, PastPrometheus

SELECTOR = '{__name__=~"runbook:.+"}'
STEP = timedelta(hours=1)
SHOWN = 10


async def threshold_notes(prometheus: PastPrometheus, history: History) -> Sequence[str]:
    """Return one note per threshold that had several numbers in the time of `history`.

    Raises:
        PrometheusSilent: Prometheus does not answer.
    """
    stacks = {alert.labels.get("stack", "") for alert in history.alerts}
    numbers: dict[frozenset[tuple[str, str]], list[float]] = defaultdict(list)
    async for page in prometheus.pages(SELECTOR, history.since, history.until, STEP, MAX_SERIES // 10):
        for series in page:
            if series.labels.get("stack", "") in stacks:
                _add_new(numbers[frozenset(series.labels.items())], [value for _, value in series.samples])
    changed = sorted(_note(dict(labels), values) for labels, values in numbers.items() if len(values) > 1)
    more = [f"and {len(changed) - SHOWN} more thresholds"] if len(changed) > SHOWN else []
    return [*changed[:SHOWN], *more]


def _add_new(numbers: list[float], values: Iterable[float]) -> None:
    for value in values:
        if value not in numbers:
            numbers.append(value)


def _note(labels: Mapping[str, str], values: Sequence[float]) -> str:
    texts = ", then ".join(f"{value:g}" for value in values)
    of = f" of {labels['stack']}" if "stack" in labels else ""
    return f"{labels['__name__']}{of} was {texts}: alerts fired by the number of their time, not by today's"
