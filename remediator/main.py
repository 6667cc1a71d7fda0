"""The command `runbook-remediator`. It reads its flags before it loads the rest, which takes a second of CPU."""

import sys
from collections.abc import Iterable
from typing import NoReturn

import structlog
from aiohttp import web

from remediator.settings import RemediatorSettings
from runbookd.inventory import Inventory
from runbookd.service import VERSION, ConfigFinding, Daemon, exit_process, run
from runbookd.service.memory import tune_malloc
from runbookd.service.settings import read_settings

log = structlog.get_logger(__name__)


def main() -> NoReturn:
    """Run the remediator; see `--help`."""
    settings = read_settings(RemediatorSettings, sys.argv[1:], "runbook-remediator")
    exit_process(run(Daemon(_build, _config_findings), settings))


def _build(settings: RemediatorSettings, inventory: Inventory | None) -> web.Application:
    log.info("starting", version=VERSION)
    tune_malloc()
    from remediator.app import build

    return build(settings, inventory)


def _config_findings(inventory: Inventory) -> Iterable[ConfigFinding]:
    from remediator.config_check import config_findings

    return config_findings(inventory)


if __name__ == "__main__":
    main()
