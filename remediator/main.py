"""The command `runbook-remediator`."""

import sys

from daemon import Daemon, read_settings, run
from remediator.app import build
from remediator.config_check import find
from remediator.settings import RemediatorSettings


def main() -> int:
    """Run the remediator; see `--help`."""
    settings = read_settings(RemediatorSettings, sys.argv[1:], "runbook-remediator")
    return run(Daemon(build, find), settings)


if __name__ == "__main__":
    sys.exit(main())
