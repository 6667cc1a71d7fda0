"""The console script `runbook-exporter`."""

import sys
from typing import TYPE_CHECKING, NoReturn

from runbookd.configuration_process import Configuration, ConfigurationReading, ReadingFailed
from runbookd.imports import keep_out

if TYPE_CHECKING:
    from runbookd.inventory import Inventory


def main() -> NoReturn:
    """Run the exporter until a signal stops it."""
    try:
        _serve(_start_reading())
    except ReadingFailed as error:
        if error.code > 0:  # the child has said why
            sys.exit(error.code)
        print(error, file=sys.stderr)
        sys.exit(2)


def _start_reading() -> ConfigurationReading:
    return ConfigurationReading("exporter.configuration", sys.argv[1:])


def _serve(reading: ConfigurationReading) -> NoReturn:
    keep_out("rich")  # structlog loads it for colours that no daemon prints: 3 MiB
    from exporter.app import build_app
    from runbookd.service import configure_logs, exit_process, serve_until_stopped
    from runbookd.service.memory import tune_collector, tune_malloc

    tune_malloc()
    tune_collector()
    read = _configuration(reading)
    configure_logs(read.log_level, read.log_format)
    exit_process(serve_until_stopped(lambda: build_app(read.inventory, _read_again), read.address, read.web_config))


def _configuration(reading: ConfigurationReading) -> Configuration:
    """Return what was read, or end if there is nothing to serve."""
    outcome = reading.outcome()
    if outcome is None:  # --help, --version or --config.check
        sys.exit(0)
    if isinstance(outcome, tuple):
        print(*outcome, sep="\n", file=sys.stderr)
        sys.exit(2)
    return outcome


def _read_again() -> "Inventory | None":
    """Return the inventory for a reload.

    Raises:
        InventoryError: it has problems.
        ReloadFailed: it was not read.
    """
    from runbookd.inventory import InventoryError
    from runbookd.service import ReloadFailed

    try:
        outcome = _start_reading().outcome()
    except ReadingFailed as error:
        raise ReloadFailed(str(error)) from None
    if isinstance(outcome, tuple):
        raise InventoryError(list(outcome))
    return None if outcome is None else outcome.inventory


if __name__ == "__main__":
    main()
