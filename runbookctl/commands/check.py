"""`check`: examine inventory, rules and routes together, without a connection."""

from pathlib import Path
from typing import Annotated

import typer

from runbookctl.options import ConfigFile, OutputOption, console, load_inventory_or_fail
from runbookctl.printing import answers


def check(
    file: ConfigFile = None,
    prometheus: Annotated[Path | None, typer.Option(help="Prometheus' configuration, which names the rules.")] = None,
    alertmanager: Annotated[Path | None, typer.Option(help="Alertmanager's configuration; needs --prometheus.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Show who hears of each alert, and report settings that cannot work together; connects to nothing."""
    from runbookctl.checks import checks
    from runbookctl.checks.routes import read_routes
    from runbookctl.checks.rules import read_rules
    from runbookctl.printing import checked

    inventory = load_inventory_or_fail(file)
    if alertmanager is not None and prometheus is None:
        raise typer.BadParameter("--alertmanager needs --prometheus: the alerts are in its rules")
    findings = list(checks.inventory_findings(inventory, checks.utc_now()))
    recipients: checked.Recipients = {}
    if prometheus is not None:
        rules = read_rules(prometheus)
        findings += checks.threshold_findings(inventory, rules)
        if alertmanager is not None:
            route, receivers = read_routes(alertmanager)
            recipients = checks.recipients(inventory, rules, route)
            findings += checks.route_findings(inventory, rules, route, receivers)
    if output is answers.Format.JSON:
        checked.show_json(recipients, findings)
    else:
        checked.show_text(console, recipients, findings)
    if findings:
        raise typer.Exit(1)
