"""How long a replay takes: 30 days in steps of 15 s, 50 alerts that fire 5 % of the time."""

import argparse
import random
import resource
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from remediator.model.remediation import DeclaredBound, Item
from remediator.simulation.targets import Effect, Reading
from runbookctl.replay.history import History, PastAlert, Span
from runbookctl.replay.play import play
from runbookd.inventory import Inventory

DAYS, STEP, ALERTS, SHARE, MEAN = 30, timedelta(seconds=15), 50, 0.05, timedelta(minutes=20)
START = datetime(2026, 3, 1, tzinfo=UTC)
SEED = 7


class TwoItems:
    """Targets on which a remediation always finds two items."""

    def read(self, _remediation: str, _target: str, _at: datetime) -> Reading:
        """See SimulatedTargets."""
        return Reading(found=2, population=100)

    def effect(self, _remediation: str, _target: str, _items: Sequence[Item], _at: datetime) -> Effect:
        """See SimulatedTargets."""
        return Effect()

    def surroundings(self, _stack: str, _at: datetime) -> dict[DeclaredBound, Sequence[str]]:
        """See SimulatedTargets."""
        return {}


def inventory(mode: str) -> Inventory:
    """Return five stacks with ten databases each, and one remediation."""
    databases = {f"db{number}": {"dsn": "postgresql://db/shop"} for number in range(ALERTS // 5)}
    stack = {
        "runbook_url": "https://runbooks.example/shop",
        "postgres": databases,
        "remediations": {"terminate_idle_transactions": {"mode": mode}},
    }
    return Inventory.model_validate({"stacks": {f"shop{number}": stack for number in range(5)}})


def history(days: int = DAYS) -> History:
    """Return alerts that fire by themselves, for `MEAN` on average, and are quiet between."""
    generator = random.Random(SEED)
    until = START + timedelta(days=days)
    return History(START, until, [PastAlert(_labels(number), _spans(generator, until)) for number in range(ALERTS)])


def _labels(number: int) -> dict[str, str]:
    stack, target = f"shop{number % 5}", f"db{number // 5}"
    return {"alertname": "Idle", "stack": stack, "target": target, "remediation": "terminate_idle_transactions"}


def _spans(generator: random.Random, until: datetime) -> list[Span]:
    spans: list[Span] = []
    moment = START
    while True:
        moment += STEP * (1 + int(generator.expovariate(SHARE / (1 - SHARE) * (STEP / MEAN))))
        end = moment + STEP * (1 + int(generator.expovariate(STEP / MEAN)))
        if end >= until:
            return spans
        spans.append(Span(moment, end))
        moment = end


def main() -> None:
    """Print the time, the memory and what was decided."""
    past = history()
    firing = sum(((span.end or past.until) - span.start for alert in past.alerts for span in alert.spans), timedelta())
    share = firing / (ALERTS * timedelta(days=DAYS))
    print(
        f"{DAYS} days, {ALERTS} alerts, {sum(len(each.spans) for each in past.alerts)} firings, {share:.1%} of the time"
    )
    for mode in ("shadow", "auto"):
        wall, cpu = time.monotonic(), time.process_time()
        played = play(inventory(mode), past, TwoItems())
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        states = Counter(str(run.state) for run in played.runs)
        print(f"mode {mode}: {wall:.1f} s ({cpu:.1f} s of CPU), {memory} MiB; runs: {dict(states)}")


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__).parse_args()
    main()
