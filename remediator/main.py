"""The command `runbook-remediator`."""

import sys
from typing import NoReturn

from remediator.app import build
from remediator.config_check import config_findings
from remediator.settings import RemediatorSettings
from runbookd.service import Daemon, exit_process, read_settings, run


def main() -> NoReturn:
    """Run the remediator; see `--help`."""
    settings = read_settings(RemediatorSettings, sys.argv[1:], "runbook-remediator")
    exit_process(run(Daemon(build, config_findings), settings))


if __name__ == "__main__":
    main()
