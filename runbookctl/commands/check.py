"""`check`: compare all files with each other."""

from pathlib import Path
from typing import Annotated

import typer

from runbookctl.options import ConfigFile, OutputOption, console, load_inventory_or_fail
from runbookctl.printing import answers


def check(
    file: ConfigFile = None,
    alertmanager: Annotated[Path | None, typer.Option(help="Alertmanager's configuration.")] = None,
    prometheus: Annotated[Path | None, typer.Option(help="Prometheus' configuration, with its rule files.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Compare inventory, rules, thresholds and routes, and show who hears of each alert; connects to nothing."""
    from runbookctl.check import examine
    from runbookctl.printing import check as printing

    result = examine(load_inventory_or_fail(file), file, alertmanager, prometheus)
    if output is answers.Format.JSON:
        printing.show_json(result)
    else:
        printing.show_text(console, result)
    if result.findings:
        raise typer.Exit(1)
