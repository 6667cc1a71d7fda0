"""Compares what a case shows with what it expects: lists as a whole, of each entry only the keys that it names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runbookctl.policy.file_format import (
    Expectation,
    ExpectedEpisode,
    ExpectedMessage,
    ExpectedRun,
    Target,
)
from runbookctl.policy.observation import Observation, SeenEpisode, SeenMessage, SeenRun, Subject
from runbookctl.policy.planned_items import ItemList
from runbookd.inventory.yaml_places import KeyPath

_MISSING = object()


@dataclass(frozen=True)
class Difference:
    """A key of an expectation that does not hold: what it says, and what there is."""

    path: KeyPath
    expected: str
    got: str


def differences(expectation: Expectation, seen: Observation) -> Iterator[Difference]:
    """Yield each key of the expectation that does not hold."""
    for key, compare in (("runs", _run), ("episodes", _episode), ("messages", _message), ("breakers", _subject)):
        expected, got = getattr(expectation, key), getattr(seen, key)
        if expected is None:
            continue
        if len(expected) != len(got):
            yield Difference((key,), _count(len(expected), key), _listed(key, got))
            continue
        for number, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from (Difference((key, number, *each.path), each.expected, each.got) for each in compare(one, other))
    if expectation.touched is not None:
        yield from _equal(("touched",), expectation.touched, seen.touched)
    for contact, count in (expectation.heard or {}).items():
        yield from _equal(("heard", contact), count, seen.heard.get(contact, 0))


def _count(number: int, key: str) -> str:
    return f"{number or 'no'} {key if number != 1 else key.removesuffix('s')}"


def _listed(key: str, entries: Sequence[object]) -> str:
    return _count(len(entries), key) + "".join(f"\n- {each}" for each in entries)


def _run(expected: ExpectedRun, seen: SeenRun) -> Iterator[Difference]:
    yield from _subject(expected, seen)
    named = "reason" in expected.model_fields_set
    if expected.state != seen.state:
        yield Difference(("state",), _state(expected.state, expected.reason or ""), _state(seen.state, seen.reason))
    elif named and expected.reason != seen.reason:
        yield Difference(("reason",), expected.reason or "none", seen.reason or "none")
    for key in ("trigger", "found", "approved_by"):
        if key in expected.model_fields_set:
            yield from _equal((key,), getattr(expected, key), getattr(seen, key))
    for key in ("refused_by", "deferred_by"):
        names = getattr(expected, key)
        if names is not None:
            yield from _same_names((key,), names, getattr(seen, key))
    if expected.items is not None:
        yield from _items(expected.items, seen)
    for bound, text in (expected.says or {}).items():
        sentence = seen.sentences.get(bound, "nothing: the bound was not judged")
        if text not in sentence:
            yield Difference(("says", bound), f"a sentence with {text!r}", sentence)
    if expected.numbers is not None:
        yield from _numbers(("numbers",), expected.numbers, seen.numbers)


def _state(state: str, reason: str) -> str:
    return f"{state} ({reason})" if reason else str(state)


def _subject(expected: Target, seen: Subject) -> Iterator[Difference]:
    """Compare stack, remediation and target; a target may be written as its name, or in its canonical form."""
    for key in ("stack", "remediation"):
        name = getattr(expected, key)
        if name is not None:
            yield from _equal((key,), name, getattr(seen, key))
    parts = seen.target.split("/", 3)
    if expected.target is not None and expected.target not in (seen.target, *parts[2:3]):
        yield Difference(("target",), expected.target, seen.target)
    if expected.queue is not None and [expected.queue] != parts[3:]:
        yield Difference(("queue",), expected.queue, "".join(parts[3:]) or "none")


def _items(expected: Mapping[str, ItemList], seen: SeenRun) -> Iterator[Difference]:
    if set(expected) != set(seen.items) or any(
        each.count != len(seen.items[state]) for state, each in expected.items()
    ):
        wanted = ", ".join(f"{each.count} {state}" for state, each in expected.items())
        got = ", ".join(f"{len(each)} {state}" for state, each in seen.items.items())
        yield Difference(("items",), wanted or "none", got or "none")
        return
    for state, each in expected.items():
        identities = [dict(identity) for identity in seen.items[state]]
        if each.identities is not None and any(dict(identity) not in identities for identity in each.identities):
            yield Difference(("items", state), _shown(each.identities), _shown(identities))


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _numbers(path: KeyPath, expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[Difference]:
    for key, value in expected.items():
        got = seen.get(key, _MISSING)
        if got is _MISSING:
            yield Difference((*path, key), str(value), f"no such number; there is {', '.join(seen) or 'none'}")
        elif value and isinstance(value, dict) and isinstance(got, Mapping):
            yield from _numbers((*path, key), value, got)
        else:
            yield from _equal((*path, key), value, got)


def _episode(expected: ExpectedEpisode, seen: SeenEpisode) -> Iterator[Difference]:
    yield from _subject(expected, seen)
    for key in ("state", "acknowledged_by"):
        if key in expected.model_fields_set:
            yield from _equal((key,), getattr(expected, key), getattr(seen, key))
    if expected.alerts is not None:
        yield from _same_names(("alerts",), expected.alerts, seen.alerts)
    if expected.ladder is not None:
        yield from _same_names(("ladder",), expected.ladder, seen.ladder)


def _message(expected: ExpectedMessage, seen: SeenMessage) -> Iterator[Difference]:
    if expected.to is not None:
        yield from _same_names(("to",), expected.to, seen.to)
    if expected.title is not None and expected.title not in seen.title:
        yield Difference(("title",), f"a title with {expected.title!r}", seen.title)
    for number, text in enumerate(expected.says or ()):
        if text not in seen.text:
            yield Difference(("says", number), f"a text with {text!r}", f"\n{seen.text}")
    if expected.severity is not None:
        yield from _equal(("severity",), expected.severity, seen.severity)


def _same_names(
    path: KeyPath, expected: Sequence[str], seen: Sequence[str] | Mapping[str, str]
) -> Iterator[Difference]:
    """Compare names in any order; of a map, the sentences are shown as well."""
    if sorted(expected) != sorted(seen):
        details = [f"{name}: {seen[name]}" if isinstance(seen, Mapping) else name for name in seen]
        yield Difference(path, ", ".join(expected) or "none", "; ".join(details) or "none")


def _equal(path: KeyPath, expected: object, seen: object) -> Iterator[Difference]:
    """Compare two values; an empty text is none."""
    one, other = (None if each == "" else each for each in (expected, seen))
    if isinstance(one, bool) != isinstance(other, bool) or one != other:
        yield Difference(path, _word(expected), _word(seen))


def _word(value: object) -> str:
    return "none" if value is None or value == "" else _shown(value)
