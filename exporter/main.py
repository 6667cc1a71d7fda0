"""The console script `runbook-exporter`."""

import gc
import sys
from collections.abc import Iterator
from typing import NoReturn

from exporter.app import build_app
from exporter.collectors import COLLECTORS
from exporter.settings import ExporterSettings
from runbookd.inventory import Inventory
from runbookd.service import ConfigFinding, Daemon, exit_process, read_settings, run
from runbookd.service.malloc import tune_malloc


def main() -> NoReturn:
    """Run the exporter until a signal stops it."""
    tune_malloc()
    gc.freeze()  # scrapes trigger collections, which need not scan every imported module again
    settings = read_settings(ExporterSettings, sys.argv[1:], "runbook-exporter")
    exit_process(run(Daemon(build_app, config_findings), settings))


def config_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Yield every secret of a measured target that cannot be read now."""
    for stack_name, stack in inventory.stacks.items():
        for kind, collector in COLLECTORS.items():
            for name in getattr(stack, kind):
                for key, reason in collector(stack, name).secret_problems():
                    yield ConfigFinding(("stacks", stack_name, kind, name, key), reason)


if __name__ == "__main__":
    main()
