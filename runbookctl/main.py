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

app = typer.Typer(
    cls=ConnectionFirst,
    help="Operate the remediator: see what it did, and control what it may do.",
    no_args_is_help=True,
)
breaker_app = typer.Typer(help="Breakers: each keeps a remediation off a target until you close it.")
audit_app = typer.Typer(help="The audit trail.")
app.add_typer(breaker_app, name="breaker", no_args_is_help=True)
app.add_typer(audit_app, name="audit", no_args_is_help=True)
ledger_app = typer.Typer(help="The ledger in PostgreSQL: its tables, and a copy of a SQLite ledger.")
app.add_typer(ledger_app, name="ledger", no_args_is_help=True)
contacts_app = typer.Typer(help="The contacts, and test messages to them.", invoke_without_command=True)
app.add_typer(contacts_app, name="contacts")

# In the order of --help.
COMMANDS = (
    *(preview.plan, preview.why, preview.simulate, replay.replay),
    *(starting.start, starting.undo),
    *(approval.approve, approval.reject, pause.pause, pause.resume),
    *(runs.status, runs.runs, runs.run, recurring.recurring, report.report),
    *(acknowledge.episodes, acknowledge.ack),
    *(deploys.deploy, deploys.predeploy),
    *(calendar.duties, calendar.done, calendar.windows),
    *(init.init, explain.explain, check.check, doctor.doctor),
)
for _command in COMMANDS:
    app.command()(_command)
app.command("test")(test.run_cases)
app.command("password")(password.print_hash)
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
