"""Alertmanager's route tree: which receivers an alert reaches.

Source: https://prometheus.io/docs/alerting/latest/configuration/#route. Regular expressions are anchored, as there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from runbookctl.checks.errors import UnusableFile
from runbookctl.checks.yaml_file import read_mapping

_MATCHER = re.compile(r"\s*(?P<name>\w+)\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|.*?)\s*")
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w|y)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_PAGERS = ("pagerduty_configs", "opsgenie_configs", "victorops_configs", "pushover_configs")


@dataclass(frozen=True)
class Reached:
    """A receiver that an alert reaches, and how often the alert is repeated to it."""

    receiver: str
    repeat_interval: timedelta


@dataclass(frozen=True)
class Receivers:
    """The receivers by what they do: `silent` ones have no integration."""

    silent: frozenset[str]
    pagers: frozenset[str]
    webhooks: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Route:
    """One node of the tree, with the settings that it inherits."""

    receiver: str
    repeat_interval: timedelta
    continues: bool
    matchers: Sequence[tuple[str, str, str]]
    children: Sequence["Route"] = field(default_factory=tuple)

    def reached(self, labels: Mapping[str, str]) -> Iterator[Reached]:
        """Yield the receivers of an alert that this node matches."""
        matched = False
        for child in self.children:
            if all(_matches(matcher, labels) for matcher in child.matchers):
                matched = True
                yield from child.reached(labels)
                if not child.continues:
                    break
        if not matched:
            yield Reached(self.receiver, self.repeat_interval)


def read_routes(file: Path) -> tuple[Route, Receivers]:
    """Read Alertmanager's configuration.

    Raises:
        UnusableFile: it cannot be read, or has no route.
    """
    content = read_mapping(file)
    try:
        return _route(content["route"], "", timedelta(hours=4)), _receivers(content["receivers"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnusableFile(f"{file}: not a configuration of Alertmanager ({error}); run amtool check-config") from None


def _route(node: Mapping[str, Any], receiver: str, repeat_interval: timedelta) -> Route:
    receiver = node.get("receiver") or receiver
    repeat_interval = _duration(node["repeat_interval"]) if "repeat_interval" in node else repeat_interval
    children = tuple(_route(child, receiver, repeat_interval) for child in node.get("routes") or ())
    return Route(receiver, repeat_interval, bool(node.get("continue")), tuple(_matchers(node)), children)


def _matchers(node: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for text in node.get("matchers") or ():
        match = _MATCHER.fullmatch(str(text))
        if match is None:
            raise ValueError(f"matcher {text!r}")
        value = match["value"]
        yield match["name"], match["operator"], re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value
    yield from ((name, "=", str(value)) for name, value in (node.get("match") or {}).items())
    yield from ((name, "=~", str(value)) for name, value in (node.get("match_re") or {}).items())


def _matches(matcher: tuple[str, str, str], labels: Mapping[str, str]) -> bool:
    name, operator, expected = matcher
    value = labels.get(name, "")
    is_equal = re.fullmatch(expected, value) is not None if "~" in operator else value == expected
    return is_equal is not operator.startswith("!")


def _receivers(nodes: Sequence[Mapping[str, Any]]) -> Receivers:
    integrations = {
        node["name"]: [key for key, value in node.items() if key.endswith("_configs") and value] for node in nodes
    }
    webhooks = {
        node["name"]: [str(each.get("url", "")) for each in node.get("webhook_configs") or ()] for node in nodes
    }
    return Receivers(
        silent=frozenset(name for name, kinds in integrations.items() if not kinds),
        pagers=frozenset(name for name, kinds in integrations.items() if any(kind in _PAGERS for kind in kinds)),
        webhooks=webhooks,
    )


def _duration(text: str) -> timedelta:
    return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(str(text))))
