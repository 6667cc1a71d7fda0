"""The console script `runbook-exporter`."""

import gc
import sys
from typing import NoReturn

from runbookd.imports import keep_out


def main() -> NoReturn:
    """Run the exporter until a signal stops it."""
    keep_out("rich")  # structlog loads it for colours that no daemon prints: 3 MiB
    from exporter.app import build_app
    from exporter.config_check import config_findings
    from exporter.settings import ExporterSettings
    from runbookd.service import Daemon, exit_process, read_settings, run
    from runbookd.service.malloc import tune_malloc

    tune_malloc()
    gc.freeze()  # scrapes trigger collections, which need not scan every imported module again
    # A scrape makes thousands of objects and no cycles; with 1,000 queues a full collection blocks the loop for 20 ms.
    gc.set_threshold(20_000, 20, 50)
    settings = read_settings(ExporterSettings, sys.argv[1:], "runbook-exporter")
    exit_process(run(Daemon(build_app, config_findings), settings))


if __name__ == "__main__":
    main()
