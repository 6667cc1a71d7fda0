"""`doctor`: report rights that are missing or too wide."""

from pathlib import Path
from typing import Annotated

import typer

from runbookctl.options import ConfigFile, OutputOption, StackOption, console, load_inventory_or_fail
from runbookctl.printing import answers


def doctor(
    file: ConfigFile = None,
    stack: StackOption = None,
    token_files: Annotated[
        list[Path] | None,
        typer.Option("--webhook.token-file", help="The remediator's, to check that Alertmanager can read it as well."),
    ] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Report rights that are missing or too wide, each with its fix; writes only a probe file.

    Exit with 1 for a finding that is not optional.
    """
    import asyncio

    from runbookctl.doctor import examine
    from runbookctl.printing import findings

    inventory = load_inventory_or_fail(file)
    if stack is not None and stack not in inventory.stacks:
        raise typer.BadParameter(f"no stack {stack!r}; there are: {', '.join(inventory.stacks) or 'none'}")
    reports = asyncio.run(
        examine(inventory, frozenset([stack] if stack is not None else inventory.stacks), token_files or ())
    )
    if output is answers.Format.JSON:
        findings.show_json(reports)
    else:
        findings.show_text(console, reports)
    if any(not finding.optional for report in reports for finding in report.findings):
        raise typer.Exit(1)
