"""`init`: write the folder of a new installation."""

from pathlib import Path
from typing import Annotated

import typer

from runbookctl.errors import InitError
from runbookctl.options import console
from runbookctl.printing.answers import line
from runbookctl.starter.runbook_sets import Modes, Runbook

_POSTGRES, _REDIS, _ALERTMANAGER = "127.0.0.1:5432", "127.0.0.1:6379/0", "127.0.0.1:9093"


def init(
    folder: Annotated[Path, typer.Argument(help="A folder that is empty or does not exist yet.")],
    stack: Annotated[
        str | None, typer.Option(help="Name of your stack; default: shop, or that of the runbook.")
    ] = None,
    postgres: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT/DATABASE", help=f"Your product's database; default: {_POSTGRES}/STACK."),
    ] = None,
    redis: Annotated[
        str | None, typer.Option(metavar="HOST:PORT/DATABASE", help=f"Your queues' Redis; default: {_REDIS}.")
    ] = None,
    alertmanager: Annotated[str, typer.Option(metavar="HOST:PORT", help="Your Alertmanager.")] = _ALERTMANAGER,
    runbook: Annotated[
        Runbook | None, typer.Option(help="Write the inventory, numbers and routes of this runbook.")
    ] = None,
    modes: Annotated[
        Modes, typer.Option(help="Modes of the remediations: all shadow, or what the runbook implies.")
    ] = "shadow",
) -> None:
    """Write all files of a new installation: inventory, thresholds, rules, boards, grants, tokens.

    With one of --postgres and --redis, only that server is measured. Passwords are made here and written to files
    that you alone can read; README.md in the folder has the next steps.
    """
    from runbookctl.starter.files import README, Starter, check_alertmanager, check_stack, write_set
    from runbookctl.starter.postgres_roles import PostgresPlace
    from runbookctl.starter.redis_users import RedisPlace

    if runbook is None and modes != "shadow":
        raise InitError("--modes applies to the set of a runbook; add --runbook NAME")
    name = stack or runbook or "shop"
    check_stack(name)
    check_alertmanager(alertmanager)
    if postgres is None and redis is None:
        postgres, redis = f"{_POSTGRES}/{name}", _REDIS
    database = PostgresPlace.parse(postgres) if postgres is not None else None
    cache = RedisPlace.parse(redis) if redis is not None else None
    folder = folder.expanduser().absolute()
    write_set(folder, Starter(name, database, cache, runbook, modes, alertmanager))
    console.print(f"wrote {folder}")
    line(console, (folder / README).read_text(encoding="utf-8").partition("## Steps\n")[2])
