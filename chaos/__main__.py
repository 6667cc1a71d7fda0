"""`python -m chaos` (`make chaos`): fails if a fault makes the replicas lose, double or exceed anything."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from chaos.environment import REPLICAS, running_environment
from chaos.replica_faults import CLOCK
from chaos.run import Chaos
from chaos.schedule import Step, schedule
from chaos.verdict import Verdict
from demo.installation import installed
from demo.servers.leftovers import end_everything_in, end_leftovers
from tools.toolchain.paths import ROOT, TOOLS, faketime_library

OUTPUT = ROOT / ".chaos"
"""The report of the last run, and the logs of its servers."""


def log_line(text: str) -> None:
    """Print one line with the time."""
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)  # noqa: DTZ005 - local time for the reader


async def chaos(folder: Path, steps: Sequence[Step], flags: argparse.Namespace) -> Verdict:
    """Run the faults on an environment in `folder`; return the verdict. SIGTERM ends it as ^C does."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    installation = await asyncio.to_thread(installed, folder, wheel=flags.wheel)
    log_line(f"the replicas are those of {installation.commands}")
    async with running_environment(folder, faketime_library(), flags.replicas, installation) as environment:
        run = Chaos.of(environment, flags.seed, log_line)
        try:
            return Verdict.of(flags.seed, await run.run(steps), run.scene.faults)
        finally:
            _keep_logs(folder)


def main() -> int:
    """Return 0 without findings, 1 with one, 130 after ^C."""
    flags = _flags()
    skipped = "" if faketime_library() is not None else CLOCK
    steps = schedule(flags.seed, flags.seconds, skipped)
    log_line(f"seed {flags.seed}: {len(steps)} faults in {flags.seconds:.0f} s")
    if skipped:
        log_line("skipped by name, because libfaketime was not fetched: the faults `clock of …`")
    if flags.schedule:
        print("\n".join(map(str, steps)))
        return 0
    folder = _new_folder()
    try:
        return _report(asyncio.run(chaos(folder, steps, flags)), steps)
    except (KeyboardInterrupt, asyncio.CancelledError):
        log_line("interrupted; all that was started has ended")
        return 130
    finally:
        end_everything_in(folder)


def _report(verdict: Verdict, steps: Sequence[Step]) -> int:
    print("\n".join(verdict.lines()))
    OUTPUT.mkdir(exist_ok=True)
    report = OUTPUT / "report.json"
    report.write_text(json.dumps(verdict.report(steps), indent=2, default=str) + "\n", encoding="utf-8")
    log_line(f"report: {report}")
    return int(verdict.failed)


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long faults are injected (default: 600)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeats an order of faults")
    parser.add_argument("--replicas", type=int, default=REPLICAS, help=f"number of remediators (default: {REPLICAS})")
    parser.add_argument("--wheel", action="store_true", help="build the wheel, and run the replicas from it")
    parser.add_argument("--schedule", action="store_true", help="print the order of faults, and do nothing")
    return parser.parse_args()


def _new_folder() -> Path:
    """Return a folder named after this process; a run that was killed may have left servers in another one."""
    runs = TOOLS / "chaos"
    runs.mkdir(parents=True, exist_ok=True)
    end_leftovers(runs)
    return runs / str(os.getpid())


def _keep_logs(folder: Path) -> None:
    logs = OUTPUT / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    for log in folder.glob("*/*.log"):
        shutil.copy(log, logs / f"{log.parent.name}.log")


if __name__ == "__main__":
    sys.exit(main())
