"""Reads from Prometheus which alerts fired when, and how much of the time it has samples of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from remediator.model.target import sanitize, targets_by_kind
from remediator.remediations import REMEDIATIONS
from runbookctl.errors import RemediatorRefused, WrongUsage
from runbookctl.replay.history import History, PastAlert, Span
from runbookctl.replay.prometheus import MAX_PAGES, MAX_SAMPLES, MAX_SERIES, PastPrometheus, PastSeries, moment_of
from runbookd.inventory import Inventory, format_duration
from runbookd.inventory.suggest import suggest

COVERAGE_STEP = timedelta(minutes=5)
HIDDEN = frozenset({"__name__", "alertstate"})  # labels of the series, not of the alert
MAX_NAMES = 20
FORM = "NAME=REMEDIATION@TARGET, like SessionsStuck=terminate_idle_transactions@shop/postgres/main"


class NoPast(RemediatorRefused):
    """Prometheus answers, and has nothing that could be replayed."""


@dataclass(frozen=True)
class AlertMapping:
    """An alert of the reader's own rules, and the labels by which the remediator would know what it is about."""

    name: str
    labels: Mapping[str, str]

    @property
    def selector(self) -> str:
        """The series of the alert; of one that names its queue, only those of that queue."""
        queue = self.labels.get("queue")
        own_queue = "" if queue is None else f",queue=~{_quoted(f'|{re.escape(queue)}')}"
        return f'ALERTS{{alertstate="firing",alertname={_quoted(self.name)}{own_queue}}}'

    @property
    def about(self) -> str:
        """Words for an error: the queue that the alert has to be about."""
        return f" for the queue {self.labels['queue']}" if "queue" in self.labels else ""


@dataclass
class _Firing:
    """The spans of one series while its pages are read."""

    spans: list[tuple[float, float]] = field(default_factory=list)

    def add(self, seconds: float, step: float) -> None:
        """Add a sample at which the alert fired; it is over a step after the last one."""
        if self.spans and seconds <= self.spans[-1][1]:
            self.spans[-1] = (self.spans[-1][0], seconds + step)
        else:
            self.spans.append((seconds, seconds + step))


def parse_mapping(text: str, inventory: Inventory) -> AlertMapping:
    """Read one --alert.

    Raises:
        WrongUsage: it is not of the form, or names no remediation, or a target that the inventory does not have.
    """
    name, is_separated, rest = text.partition("=")
    remediation, _, target = rest.partition("@")
    parts = target.split("/")
    if not is_separated or not name or not remediation or len(parts) not in (3, 4) or not all(parts):
        raise WrongUsage(f"--alert {text!r}: write it as {FORM}")
    if remediation not in REMEDIATIONS:
        raise WrongUsage(
            f"--alert {text!r}: there is no remediation {remediation!r}{suggest(remediation, REMEDIATIONS)}"
        )
    if (problem := _target_problem(inventory, remediation, parts)) is not None:
        raise WrongUsage(f"--alert {text!r}: {problem}")
    labels = {"stack": parts[0], "target": parts[2], "remediation": remediation}
    return AlertMapping(name, labels | ({"queue": parts[3]} if len(parts) == 4 else {}))


def _target_problem(inventory: Inventory, remediation: str, parts: Sequence[str]) -> str | None:
    """Return why there is no such target; the queue of a group may come from the alert."""
    stack, kind, name, *_ = parts
    if stack not in inventory.stacks:
        return f"the inventory has no stack {stack!r}{suggest(stack, inventory.stacks)}"
    if kind != REMEDIATIONS[remediation].kind:
        return f"{remediation} works on {REMEDIATIONS[remediation].kind}, not on {kind}"
    names = targets_by_kind(stack, inventory.stacks[stack])[kind]
    return None if name in names else f"stack {stack} has no {kind} target {name!r}{suggest(name, names)}"


async def read_alerts(
    prometheus: PastPrometheus, since: datetime, until: datetime, step: timedelta, mappings: Sequence[AlertMapping]
) -> History:
    """Return the alerts that name a remediation, and those that `mappings` give one.

    Raises:
        NoPast: there are none.
        PrometheusSilent: Prometheus does not answer.
    """
    selector = 'ALERTS{alertstate="firing",remediation!=""}'
    named = {mapping.name for mapping in mappings}
    labelled = await _read(prometheus, selector, since, until, step, {})
    own: list[PastAlert] = []
    for mapping in mappings:
        found = await _read(prometheus, mapping.selector, since, until, step, mapping.labels)
        if not found:
            raise NoPast(
                f"--alert {mapping.name}: this alert did not fire{mapping.about} between {_between(since, until)};"
                " check its name"
            )
        own += found
    alerts = [*(each for each in labelled if each.labels.get("alertname") not in named), *own]
    if not alerts:
        raise NoPast(await _why_none(prometheus, since, until))
    return History(since, until, alerts)


async def left_out_notes(
    prometheus: PastPrometheus, since: datetime, until: datetime, mappings: Sequence[AlertMapping]
) -> Sequence[str]:
    """Return a note that names the alerts that fired and are not replayed, if there are any."""
    fired = await prometheus.alert_names('ALERTS{alertstate="firing",remediation=""}', since, until)
    if names := [name for name in fired if name not in {each.name for each in mappings}]:
        return [f"not replayed, because no label remediation or --alert says what would repair it: {_listed(names)}"]
    return []


async def read_coverage(prometheus: PastPrometheus, since: datetime, until: datetime) -> timedelta:
    """Return for how much of the time Prometheus has samples of `up`, which it writes itself.

    A query answers with a sample of the five minutes before, so that each answer stands for one step.

    Raises:
        NoPast: it has none.
    """
    answers = 0
    async for page in prometheus.pages("count(up)", since, until, COVERAGE_STEP):
        answers += sum(len(series.samples) for series in page)
    if not answers:
        nothing = f"Prometheus at {prometheus.shown} has no samples between {_between(since, until)}"
        raise NoPast(f"{nothing}; check --since and --until")
    return min(answers * COVERAGE_STEP, until - since)


async def _read(
    prometheus: PastPrometheus,
    selector: str,
    since: datetime,
    until: datetime,
    step: timedelta,
    labels: Mapping[str, str],
) -> list[PastAlert]:
    count = await prometheus.count_series(selector, since, until)
    _require_bounded(count, since, until, step)
    if not count:
        return []
    firing: dict[frozenset[tuple[str, str]], _Firing] = {}
    async for page in prometheus.pages(selector, since, until, step, count):
        for series in page:
            _add_series(firing, series, labels, step)
    return [PastAlert(dict(key), _spans(each, since, until)) for key, each in firing.items()]


def _add_series(
    firing: dict[frozenset[tuple[str, str]], _Firing], series: PastSeries, labels: Mapping[str, str], step: timedelta
) -> None:
    own = {name: value for name, value in series.labels.items() if name not in HIDDEN}
    each = firing.setdefault(frozenset({**own, **labels}.items()), _Firing())
    for seconds, _ in series.samples:
        each.add(seconds, step.total_seconds())


def _spans(firing: _Firing, since: datetime, until: datetime) -> list[Span]:
    """Return the spans as moments; what still fires at the end of the history has no end."""
    spans = [(max(moment_of(start), since), moment_of(end)) for start, end in firing.spans]
    return [Span(start, end if end < until else None) for start, end in spans]


def _require_bounded(series: int, since: datetime, until: datetime, step: timedelta) -> None:
    if series > MAX_SERIES:
        raise NoPast(f"more than {MAX_SERIES} alerts carry a remediation in this time; set a shorter --since")
    pages = (until - since) / step * max(series, 1) / MAX_SAMPLES
    if pages > MAX_PAGES:
        raise NoPast(f"{series} alerts in steps of {format_duration(step)} are too many samples; set a larger --step")


async def _why_none(prometheus: PastPrometheus, since: datetime, until: datetime) -> str:
    names = await prometheus.alert_names('ALERTS{alertstate="firing"}', since, until)
    between = _between(since, until)
    if not names:
        return (
            f"no alert fired between {between}: Prometheus at {prometheus.shown} has no series ALERTS of this time;"
            " set a longer --since, or load alert rules if it has none"
        )
    return (
        f"{len(names)} alerts fired between {between}, and none of them has the label remediation: {_listed(names)};"
        f" load the rules of alert_rules/, or name what would repair yours with --alert {FORM}"
    )


def _between(since: datetime, until: datetime) -> str:
    return f"{since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(sanitize(name) for name in names[:MAX_NAMES]) + more


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
