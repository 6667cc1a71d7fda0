"""`python -m soak` (`make soak`): fails if faults make the exporter late, or make a daemon leak.

It compares the memory, files, tasks and connections of both daemons at minute two with those at minute ten. Then an
ALTER TABLE holds its lock for a minute, during which every target must be up.
"""

import argparse
import asyncio
import sys
from datetime import datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from demo.installation import installed
from soak.environment import running_environment
from soak.run import Soak, SoakFailed, new_session

SECONDS, FAULT_SECONDS = 600.0, 3.0
_FIRST, _LOCK = 0.2, 0.1
"""The parts of the time before the first look at the daemons, and with the lock at the end."""


def log_line(text: str) -> None:
    """Print one line with the time."""
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)  # noqa: DTZ005 - local time for the reader


async def soak(seed: int, seconds: float, *, wheel: bool) -> list[str]:
    """Run the soak; return the problems."""
    with TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        installation = await asyncio.to_thread(installed, folder, wheel=wheel)
        log_line(f"the daemons are those of {installation.commands}")
        async with running_environment(folder, installation) as environment, new_session() as session:
            run = Soak(environment, session, Random(seed), log_line)  # noqa: S311 - the order of faults protects nothing
            async with run.scrape_continuously():
                await run.faults(seconds * _FIRST, FAULT_SECONDS)
                before = await run.usages()
                await run.faults(seconds * (1 - _FIRST), FAULT_SECONDS)
                changes = await run.changes(before)
                await run.hold_lock(seconds * _LOCK)
                log_line(f"{run.scrapes} scrapes, the slowest {run.slowest:.2f} s; {await run.fixed()} runs succeeded")
            return changes


def main() -> None:
    """Exit with 0 without problems, else 1."""
    flags = _flags()
    log_line(f"seed {flags.seed}")
    try:
        problems = asyncio.run(soak(flags.seed, flags.seconds, wheel=flags.wheel))
    except* SoakFailed as failed:
        problems = [str(each) for each in failed.exceptions]
    for problem in problems:
        log_line(f"FAILED: {problem}")
    sys.exit(bool(problems))


def _flags() -> argparse.Namespace:
    now = int(datetime.now().timestamp())  # noqa: DTZ005
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"length of the soak (default: {SECONDS:.0f})")
    parser.add_argument("--seed", type=int, default=now, help="repeats an order of faults")
    parser.add_argument("--wheel", action="store_true", help="build the wheel, and run the daemons from it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
