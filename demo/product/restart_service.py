"""Asks the supervisor in FOLDER to restart its service, and waits for the new start.

The remediator runs this file as a command of the inventory, so it imports only the standard library.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

WAIT_SECONDS = 15.0


def main(folder: Path) -> None:
    """Exit with 0 once the service has a new start."""
    before = _started(folder)
    os.kill(int((folder / "supervisor.number").read_text(encoding="ascii")), signal.SIGHUP)
    deadline = time.monotonic() + WAIT_SECONDS
    while _started(folder) == before:
        if time.monotonic() > deadline:
            sys.exit(f"the service has no new start after {WAIT_SECONDS:.0f} s")
        time.sleep(0.1)


def _started(folder: Path) -> str:
    return str(json.loads((folder / "state.json").read_text(encoding="utf-8"))["started"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    main(parser.parse_args().folder)
