"""The command `runbookctl`: what an operator asks the remediator and tells it."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from exporter.pages.explain import costs
from runbookctl import ahead, saying, show
from runbookctl import explain as explain_command
from runbookctl.asking import OutputOption, RunArgument, StackOption, client_of, console
from runbookctl.client import RemediatorClient, RemediatorRefused, WrongUsage
from runbookctl.doctor import examine
from runbookctl.doctor import show as show_doctor
from runbookctl.init import InitError, write_examples
from runbookd.inventory import Inventory, InventoryError, load_inventory
from runbookd.service import VERSION
from runbookd.service.check import NO_INVENTORY

app = typer.Typer(help="Ask the remediator what it did, and tell it what it may do.", no_args_is_help=True)
breaker_app = typer.Typer(help="Breakers: what keeps a remediation off a target until a person has looked.")
audit_app = typer.Typer(help="The audit trail.")
app.add_typer(breaker_app, name="breaker", no_args_is_help=True)
app.add_typer(audit_app, name="audit", no_args_is_help=True)

VERIFY_SECONDS = 900.0  # of a million rows it takes half a minute, on a machine that has nothing else to do
UNKNOWN_HEAD = "its end was cut off, it was written anew, or the head is from before what is kept (400 days)"
ConfigFile = Annotated[
    Path | None, typer.Option("--config.file", envvar="RUNBOOK_CONFIG_FILE", help="The inventory, a YAML file.")
]
for _command in (ahead.plan, ahead.why, ahead.simulate, saying.approve, saying.reject, saying.pause, saying.resume):
    app.command()(_command)
breaker_app.command("close")(saying.close_breaker)


def _print_version(value: bool) -> None:
    if value:
        console.print(f"runbookctl {VERSION}", highlight=False)
        raise typer.Exit


@app.callback()
def connect(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="REMEDIATOR_URL", help="Where the remediator listens.")] = (
        "http://127.0.0.1:9851"
    ),
    token_file: Annotated[
        str | None, typer.Option(envvar="OPERATOR_TOKEN_FILE", help="The file with your operator's token.")
    ] = None,
    version: Annotated[  # noqa: ARG001 - it has done its work before
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep where the remediator is and who asks."""
    context.obj = RemediatorClient(url, token_file)


@app.command()
def status(context: typer.Context, output: OutputOption = show.Format.TEXT) -> None:
    """Show whether the remediator works, what is paused, open breakers, and the runs that have not ended."""
    answer = client_of(context).get("/api/v1/status")
    if output is show.Format.JSON:
        show.as_json(answer)
    else:
        show.status(console, answer)


@app.command()
def runs(
    context: typer.Context,
    stack: StackOption = None,
    remediation: Annotated[str | None, typer.Option(help="Only runs of this remediation.")] = None,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, newest first.")] = 20,
    before: Annotated[int | None, typer.Option(min=1, help="Only runs older than the run of this number.")] = None,
    output: OutputOption = show.Format.TEXT,
) -> None:
    """List runs, newest first."""
    query = {"stack": stack, "remediation": remediation, "state": state, "limit": str(limit)}
    query |= {"before": str(before)} if before is not None else {}
    show.runs(console, client_of(context).get("/api/v1/runs", query), output)


@app.command()
def run(context: typer.Context, number: RunArgument, output: OutputOption = show.Format.TEXT) -> None:
    """Show one run: its plan, what bounds said, what was touched, the proof, and its history."""
    show.run(console, client_of(context).get(f"/api/v1/runs/{number}"), output)


@breaker_app.command("list")
def list_breakers(context: typer.Context, output: OutputOption = show.Format.TEXT) -> None:
    """List open breakers."""
    show.breakers(console, client_of(context).get("/api/v1/breakers"), output)


@audit_app.command("verify")
def verify_audit(
    context: typer.Context,
    head: Annotated[str | None, typer.Option(help="A head noted earlier, from a log or an escalation.")] = None,
    output: OutputOption = show.Format.TEXT,
) -> None:
    """Prove that no row of the audit trail was changed; with a head, that none was cut off after it either."""
    answer = client_of(context).get("/api/v1/audit", {"head": head}, VERIFY_SECONDS)
    problem = None
    if answer["first_break"] is not None:
        problem = f"the audit trail is broken at row {answer['first_break']}: {answer['why']}"
    elif head is not None and not answer["head_known"]:
        problem = f"the audit trail does not contain {head}: {UNKNOWN_HEAD}"
    if problem is None or output is show.Format.JSON:
        show.print_result(console, answer, output, _audit_summary(answer))
    if problem is not None:
        raise RemediatorRefused(problem)


def _audit_summary(answer: Mapping[str, Any]) -> str:
    rows, since = answer["rows"], answer["begins_at"]
    return f"the audit trail is whole: {rows} rows" + (f" since {since}" if since else "") + f"; head {answer['head']}"


@app.command()
def init(
    folder: Annotated[str, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    stack: Annotated[str, typer.Option(help="The name of your stack.")] = "shop",
) -> None:
    """Write an inventory and thresholds to start from."""
    for file in write_examples(folder, stack):
        console.print(f"wrote {file}")


@app.command()
def explain(
    file: ConfigFile = None,
    output: OutputOption = show.Format.TEXT,
) -> None:
    """Show what the exporter would collect, at what cost and with how many series; connects to nothing."""
    cost_list = list(costs(_inventory(file)))
    if output is show.Format.JSON:
        explain_command.show_json(cost_list)
    else:
        explain_command.show_text(console, cost_list)


@app.command()
def doctor(
    file: ConfigFile = None,
    stack: StackOption = None,
    output: OutputOption = show.Format.TEXT,
) -> None:
    """Connect as the daemons would, and tell what is missing or too wide, with what repairs it. Changes nothing."""
    inventory = _inventory(file)
    if stack is not None and stack not in inventory.stacks:
        raise typer.BadParameter(f"no stack {stack!r}; there are: {', '.join(inventory.stacks) or 'none'}")
    reports = asyncio.run(examine(inventory, frozenset([stack] if stack is not None else inventory.stacks)))
    if output is show.Format.JSON:
        show_doctor.show_json(reports)
    else:
        show_doctor.show_text(console, reports)
    if any(report.findings for report in reports):
        raise typer.Exit(1)


def _inventory(file: Path | None) -> Inventory:
    inventory = load_inventory(file, os.environ)
    if inventory is None:
        raise typer.BadParameter(NO_INVENTORY)
    return inventory


def main() -> int:
    """Run the command. Exits 0, or 1 for a finding or a refusal, or 2 for wrong usage."""
    try:
        app()
    except WrongUsage as error:
        print(f"runbookctl: {error}", file=sys.stderr)
        return 2
    except (RemediatorRefused, InitError) as error:
        print(f"runbookctl: {error}", file=sys.stderr)
        return 1
    except InventoryError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
