"""The console script `runbook-exporter`."""

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
    from runbookd.service.memory import tune_collector, tune_malloc

    tune_malloc()
    tune_collector()
    settings = read_settings(ExporterSettings, sys.argv[1:], "runbook-exporter")
    exit_process(run(Daemon(build_app, config_findings), settings))


if __name__ == "__main__":
    main()
