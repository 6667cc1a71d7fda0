"""`init`: write starter files."""

from pathlib import Path
from typing import Annotated

import typer

from runbookctl.accounts import alertmanager_account, make_token
from runbookctl.errors import InitError
from runbookctl.options import console
from runbookctl.printing.answers import line
from runbookctl.runbook_sets import Modes, Runbook
from runbookctl.starter_files import write_examples, write_runbook


def init(
    folder: Annotated[str, typer.Argument(help="A folder that is empty or does not exist yet.")],
    stack: Annotated[
        str | None, typer.Option(help="Name of your stack; default: shop, or that of the runbook.")
    ] = None,
    runbook: Annotated[
        Runbook | None,
        typer.Option(help="Write the complete set of this runbook, with Prometheus and Alertmanager."),
    ] = None,
    modes: Annotated[
        Modes, typer.Option(help="Modes of the remediations: all shadow, or what the runbook implies.")
    ] = "shadow",
) -> None:
    """Write a starter inventory and starter thresholds, or the complete set of a runbook."""
    if runbook is None and modes != "shadow":
        raise InitError("--modes applies to the set of a runbook; add --runbook NAME")
    written = (
        write_runbook(folder, stack or runbook, runbook, modes) if runbook else write_examples(folder, stack or "shop")
    )
    for file in written:
        console.print(f"wrote {file}")
    token = Path("/etc/runbookd/secrets/webhook_token")
    console.print("next, the token that Alertmanager sends to the remediator; both must be able to read it:")
    line(console, f"  {make_token(token, alertmanager_account())}")
