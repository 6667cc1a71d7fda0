"""Alertmanager's file: its tree of routes, its receivers and its inhibit rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runbookctl.check.matchers import Matcher, MatcherError, checked, read_matchers
from runbookctl.check.yaml_file import LINE, duration, maps_in, read_map, texts_in
from runbookctl.errors import WrongUsage

REMEDIATOR_PORT = 9851
# Settings that a route inherits, with Alertmanager's defaults.
_DEFAULTS: Mapping[str, Any] = {"group_by": [], "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
PAGERS = ("pagerduty", "opsgenie", "victorops", "pushover")


@dataclass(frozen=True)
class Route:
    """A route with the settings that it inherits."""

    line: int
    receiver: str
    matchers: tuple[Matcher, ...]
    continues: bool
    group_by: tuple[str, ...]
    group_wait: timedelta
    group_interval: timedelta
    repeat_interval: timedelta
    intervals: tuple[str, ...]
    routes: tuple["Route", ...]

    def matching(self, labels: Mapping[str, str]) -> list["Route"]:
        """Return the routes that take an alert, as Alertmanager walks the tree."""
        if not all(matcher.matches(labels) for matcher in self.matchers):
            return []
        found: list[Route] = []
        for route in self.routes:
            below = route.matching(labels)
            found += below
            if below and not route.continues:
                break
        return found or [self]


@dataclass(frozen=True)
class InhibitRule:
    """The alerts that a rule may keep back."""

    line: int
    targets: tuple[Matcher, ...]


@dataclass(frozen=True)
class Alertmanager:
    """The parts of Alertmanager's file that decide who hears of an alert."""

    file: Path
    route: Route
    receivers: Mapping[str, Mapping[str, Any]]
    inhibit_rules: Sequence[InhibitRule]

    def receivers_of(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return the receivers of an alert, each once, in their order."""
        return tuple(dict.fromkeys(route.receiver for route in self.route.matching(labels)))

    @cached_property
    def remediators(self) -> frozenset[str]:
        """The receivers that lead to the remediator, by their name or their port."""
        return frozenset(name for name, entry in self.receivers.items() if _is_remediator(name, entry))

    def reaches_people(self, receiver: str) -> bool:
        """Return whether a receiver sends to anybody but the remediator."""
        is_ours = receiver in self.remediators
        return any(not (is_ours and kind == "webhook") for kind, _ in _senders(self.receivers.get(receiver, {})))

    def is_pager(self, receiver: str) -> bool:
        """Return whether a receiver pages."""
        return any(kind in PAGERS for kind, _ in _senders(self.receivers.get(receiver, {})))

    def webhooks(self, receiver: str) -> list[Mapping[str, Any]]:
        """Return the webhooks of a receiver."""
        return maps_in(self.receivers.get(receiver, {}).get("webhook_configs"))


def read_alertmanager(file: Path) -> Alertmanager:
    """Read Alertmanager's file.

    Raises:
        WrongUsage: it is not such a file.
    """
    document = read_map(file)
    if not isinstance(document.get("route"), dict):
        raise WrongUsage(f"{file} is not a configuration of Alertmanager: it has no route")
    try:
        rules = [
            InhibitRule(rule[LINE], tuple(_matchers(rule, "target_")))
            for rule in maps_in(document.get("inhibit_rules"))
        ]
        route = _route(document["route"], {**_DEFAULTS, "receiver": ""})
    except MatcherError as error:
        raise WrongUsage(f"{file}: {error}; see amtool check-config") from None
    receivers = {str(entry.get("name")): entry for entry in maps_in(document.get("receivers"))}
    return Alertmanager(file, route, receivers, rules)


def _route(entry: Mapping[str, Any], inherited: Mapping[str, Any]) -> Route:
    own = {name: entry[name] for name in inherited if entry.get(name) is not None}
    settings = {**inherited, **own}
    return Route(
        line=entry[LINE],
        receiver=str(settings["receiver"]),
        matchers=tuple(_matchers(entry, "")),
        continues=entry.get("continue") is True,
        group_by=tuple(texts_in(settings["group_by"])),
        group_wait=duration(settings["group_wait"]),
        group_interval=duration(settings["group_interval"]),
        repeat_interval=duration(settings["repeat_interval"]),
        intervals=tuple(
            name for key in ("mute_time_intervals", "active_time_intervals") for name in texts_in(entry.get(key))
        ),
        routes=tuple(_route(each, settings) for each in maps_in(entry.get("routes"))),
    )


def _matchers(entry: Mapping[str, Any], prefix: str) -> Iterator[Matcher]:
    """Yield the matchers of a block, also those in the older form."""
    yield from read_matchers(texts_in(entry.get(f"{prefix}matchers")))
    for key, operator in ((f"{prefix}match", "="), (f"{prefix}match_re", "=~")):
        block = entry.get(key)
        for name, value in (block if isinstance(block, dict) else {}).items():
            if name != LINE:
                yield checked(Matcher(str(name), operator, str(value)))


def _senders(receiver: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, entries in receiver.items():
        if key.endswith("_configs"):
            yield from ((key.removesuffix("_configs"), entry) for entry in maps_in(entries))


def _is_remediator(name: str, receiver: Mapping[str, Any]) -> bool:
    return "remediator" in name or any(
        _port(str(entry.get("url", ""))) == REMEDIATOR_PORT for kind, entry in _senders(receiver) if kind == "webhook"
    )


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None
