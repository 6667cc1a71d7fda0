"""The command line of `runbookctl`. Its commands are in `commands/`.

A command imports what only it needs when it runs: `--help` must not wait for drivers and models of all commands.
"""

import sys
from typing import Annotated

import typer

from runbookctl.client import RemediatorClient
from runbookctl.commands import (
    acknowledge,
    approval,
    audit,
    breakers,
    calendar,
    check,
    contacts,
    deploys,
    doctor,
    explain,
    init,
    ledger,
    password,
    pause,
    preview,
    recurring,
    replay,
    report,
    runs,
    starting,
    test,
)
from runbookctl.connection_options import ConnectionFirst
from runbookctl.errors import InitError, RemediatorRefused, WrongUsage
from runbookctl.options import console
from runbookctl.output import run_with_output

HELP = """Operate the remediator: see what it did, and control what it may do.

New here? `runbookctl init ~/shop --stack shop` writes all files of an installation and prints the next steps.
Once the remediator runs, `runbookctl status` shows its state, and `runbookctl pause --reason WHY` stops everything.
"""
SEE, DECIDE, ACT, TRY, DAYS, SET_UP = (
    "See what happens",
    "Decide and stop",
    "Act by hand",
    "Try without effect",
    "Deploys, duties and windows",
    "Set up and check",
)
app = typer.Typer(cls=ConnectionFirst, help=HELP, no_args_is_help=True)
breaker_app = typer.Typer(help="Breakers: each keeps a remediation off a target until you close it.")
audit_app = typer.Typer(help="The audit trail.")
ledger_app = typer.Typer(help="The ledger in PostgreSQL: its tables, and a copy of a SQLite ledger.")
contacts_app = typer.Typer(help="The contacts, and test messages to them.", invoke_without_command=True)

# In the order of --help.
COMMANDS = {
    SEE: (runs.status, acknowledge.episodes, runs.runs, runs.run, preview.why, report.report, recurring.recurring),
    DECIDE: (approval.approve, approval.reject, acknowledge.ack, pause.pause, pause.resume),
    ACT: (starting.start, starting.undo),
    TRY: (preview.plan, preview.simulate, replay.replay, test.run_cases),
    DAYS: (deploys.deploy, deploys.predeploy, calendar.duties, calendar.done, calendar.windows),
    SET_UP: (init.init, check.check, doctor.doctor, explain.explain, password.print_hash),
}
NAMES = {test.run_cases: "test", password.print_hash: "password"}  # for the others, that of the function
for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(NAMES.get(_command), rich_help_panel=_panel)(_command)
app.add_typer(breaker_app, name="breaker", no_args_is_help=True, rich_help_panel=DECIDE)
app.add_typer(audit_app, name="audit", no_args_is_help=True, rich_help_panel=SET_UP)
app.add_typer(ledger_app, name="ledger", no_args_is_help=True, rich_help_panel=SET_UP)
app.add_typer(contacts_app, name="contacts", rich_help_panel=SET_UP)
breaker_app.command("close")(breakers.close_breaker)
breaker_app.command("list")(breakers.list_breakers)
audit_app.command("verify")(audit.verify_audit)
ledger_app.command("migrate")(ledger.migrate_ledger)
ledger_app.command("copy")(ledger.copy_ledger)
ledger_app.command("export")(ledger.export_ledger)
contacts_app.callback()(contacts.list_contacts)
contacts_app.command("test")(contacts.send_test)


def _print_version(value: bool) -> None:
    if value:
        from runbookd.service import VERSION

        console.print(f"runbookctl {VERSION}", highlight=False)
        raise typer.Exit


@app.callback()
def connect(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="REMEDIATOR_URL", help="Address of the remediator.")] = (
        "http://127.0.0.1:9851"
    ),
    token_file: Annotated[
        str | None, typer.Option(envvar="OPERATOR_TOKEN_FILE", help="File with your operator's token.")
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback handles it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Store the remediator's address and the operator's token for the command."""
    context.obj = RemediatorClient(url, token_file)


def main() -> int:
    """Run the command. Return 0, or 1 for a finding or a refusal, or 2 for wrong usage."""
    return run_with_output(_run)


def _run() -> int:
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except WrongUsage as error:
        print(f"runbookctl: {error}", file=sys.stderr)
        return 2
    except (RemediatorRefused, InitError) as error:
        print(f"runbookctl: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if isinstance(error, OSError) or not _is_inventory_error(error):
            raise
        print(error, file=sys.stderr)
        return 2
    return 0


def _is_inventory_error(error: Exception) -> bool:
    """Load the inventory's code only after an error, because most commands do without it."""
    from runbookd.inventory import InventoryError

    return isinstance(error, InventoryError)
