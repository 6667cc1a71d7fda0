"""Reads the file that `runbookctl ledger export` writes: deliveries of a ledger, and the plans that it recorded."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from remediator.ledger.export import FORMAT
from runbookctl.errors import WrongUsage
from runbookctl.replay.history import PastDelivery
from runbookctl.replay.sizes import Key, RecordedPlan

MAX_LINES = 5_000_000
REMEDY = "write it with `runbookctl ledger export`"


@dataclass(frozen=True)
class Export:
    """The contents of the file, each oldest first."""

    since: datetime
    deliveries: Sequence[PastDelivery]
    plans: Mapping[Key, Sequence[RecordedPlan]]


def read_export(file: Path) -> Export:
    """Read the file.

    Raises:
        WrongUsage: it cannot be read, or is not such a file; the message names the line.
    """
    deliveries: list[PastDelivery] = []
    plans: dict[Key, list[RecordedPlan]] = defaultdict(list)
    since = None
    for number, line in _lines(file):
        try:
            row = json.loads(line)
            if number == 1:
                since = _first_line(row)
            elif "delivery" in row:
                deliveries.append(_delivery(row["delivery"]))
            else:
                plans[_key(row["plan"])].append(_plan(row["plan"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise WrongUsage(f"{file}:{number}: not a line of an exported ledger; {REMEDY}") from None
    if since is None:
        raise WrongUsage(f"{file} is empty; {REMEDY}")
    in_order = {key: sorted(each, key=lambda plan: plan.at) for key, each in plans.items()}
    return Export(since, sorted(deliveries, key=lambda each: each.received_at), in_order)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if number > MAX_LINES:
                    raise WrongUsage(f"{file} has more than {MAX_LINES:,} lines; export a shorter time with --since")
                yield number, line
    except OSError as error:
        raise WrongUsage(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUsage(f"{file} is not UTF-8 text; {REMEDY}") from None


def _first_line(row: Any) -> datetime:
    if row["format"] != FORMAT:
        raise ValueError(row["format"])
    return _moment(row["since"])


def _delivery(row: Any) -> PastDelivery:
    return PastDelivery(_moment(row["received_at"]), row["body"].encode("utf-8", "surrogateescape"))


def _key(row: Any) -> Key:
    return str(row["remediation"]), str(row["target"])


def _plan(row: Any) -> RecordedPlan:
    found, population = (None if row[name] is None else int(row[name]) for name in ("found", "population"))
    return RecordedPlan(_moment(row["at"]), found, population, str(row["error"]))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
