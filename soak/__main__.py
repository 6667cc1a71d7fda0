"""`python -m soak` (`make soak`): fails if faults make the exporter late or leak.

It compares the exporter's memory, files and tasks at minute two with those at minute ten. Then an ALTER TABLE holds
its lock for a minute, during which every target must be up.
"""

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from soak.environment import running_environment
from soak.exporter import Soak, SoakFailed, compare, new_session

FIRST_SECONDS, REST_SECONDS, FAULT_SECONDS, LOCK_SECONDS = 120.0, 480.0, 3.0, 60.0


def log_line(text: str) -> None:
    """Print one line with the time."""
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)  # noqa: DTZ005 - local time for the reader


async def soak(seed: int) -> list[str]:
    """Run the soak; return the problems."""
    with TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        async with running_environment(Path(folder)) as environment, new_session() as session:
            run = Soak(environment, session, Random(seed), log_line)  # noqa: S311 - the order of faults protects nothing
            async with run.scrape_continuously():
                await run.faults(FIRST_SECONDS, FAULT_SECONDS)
                before = await run.usage()
                log_line(f"minute 2: {before}")
                await run.faults(REST_SECONDS, FAULT_SECONDS)
                after = await run.usage()
                await run.hold_lock(LOCK_SECONDS)
            log_line(f"minute 10: {after}; {run.scrapes} scrapes, the slowest {run.slowest:.2f} s")
            return compare(before, after)


def main() -> None:
    """Exit with 0 without problems, else 1; `python -m soak SEED` repeats an order of faults."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else int(datetime.now().timestamp())  # noqa: DTZ005
    log_line(f"seed {seed}")
    try:
        problems = asyncio.run(soak(seed))
    except* SoakFailed as failed:
        problems = [str(each) for each in failed.exceptions]
    for problem in problems:
        log_line(f"FAILED: {problem}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
