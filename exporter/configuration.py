"""Reads the flags and the inventory for `exporter.main`: `python -m exporter.configuration NUMBER`."""

import os
import sys
from typing import NoReturn

from exporter.config_check import config_findings
from exporter.settings import ExporterSettings
from runbookd.configuration_process import Configuration, answer, receive
from runbookd.inventory import InventoryError, load_inventory
from runbookd.service import exit_process
from runbookd.service.lifecycle import check_configuration
from runbookd.service.settings import read_settings

PROGRAM = "runbook-exporter"


def main() -> NoReturn:
    """Read, and answer; with --config.check print the findings instead."""
    arguments, memory = receive(int(sys.argv[1]))
    settings = read_settings(ExporterSettings, arguments, PROGRAM)
    if settings.config.check:
        exit_process(check_configuration(settings, config_findings))
    try:
        inventory = load_inventory(settings.config.file, os.environ)
    except InventoryError as error:
        answer(memory, tuple(error.problems))
    else:
        address, web_config = settings.web.address, settings.web.config.file
        answer(memory, Configuration(settings.log.level, settings.log.format, address, web_config, inventory))
    exit_process(0)


if __name__ == "__main__":
    main()
