"""`replay`: what the remediator would have done in the past, under the present settings and under others."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runbookctl.errors import WrongUsage
from runbookctl.options import ConfigFile, OutputOption, console
from runbookctl.printing import answers

if TYPE_CHECKING:
    from runbookctl.replay.prometheus import Access


class Mode(StrEnum):
    """The modes of a replay."""

    AUTO = "auto"
    INVENTORY = "inventory"


def replay(
    prometheus: Annotated[
        str | None, typer.Option(envvar="PROMETHEUS_URL", help="Address of the Prometheus whose alerts are replayed.")
    ] = None,
    deliveries: Annotated[
        Path | None, typer.Option(help="Replay this file of `ledger export` instead of Prometheus.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far back, like 30d.")] = "30d",
    until: Annotated[str | None, typer.Option(help="The end, like 2026-11-30T12:00:00Z; without it, now.")] = None,
    config_file: ConfigFile = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Compare with a changed setting of the inventory; repeat it.",
        ),
    ] = None,
    mode: Annotated[
        Mode, typer.Option(metavar="MODE", help="auto: as if shadow and approve were auto; inventory: as they are.")
    ] = (Mode.AUTO),
    alert: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A=R@TARGET",
            help="The remediation R of an alert of your own, named A; repeat it.",
        ),
    ] = None,
    plans: Annotated[
        Path | None, typer.Option(help="Take the sizes of plans from this file of `ledger export`.")
    ] = None,
    step: Annotated[str, typer.Option(help="Resolution; at best the evaluation_interval of Prometheus.")] = "15s",
    token_file: Annotated[
        Path | None, typer.Option("--prometheus-token-file", help="File with a bearer token for Prometheus.")
    ] = None,
    user: Annotated[str, typer.Option("--prometheus-user", help="User of Prometheus, with a password file.")] = "",
    password_file: Annotated[
        Path | None, typer.Option("--prometheus-password-file", help="File with the user's password.")
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option("--prometheus-ca-file", help="File with the authority of the certificate of Prometheus."),
    ] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Show what the remediator would have done in the past; reaches no target and needs no remediator.

    Examples: --set stacks.shop.remediations.run_backup.cooldown=1h, --alert Stuck=restart_service@shop/services/api.
    """
    from runbookctl.printing.replay import show
    from runbookctl.replay.command import Options, run_replay
    from runbookctl.replay.report import as_data

    _require_one_source(prometheus, deliveries)
    if deliveries is not None and (alert or plans is not None):
        raise WrongUsage("--alert and --plans are for a replay of Prometheus; leave them out with --deliveries")
    access = None if deliveries is not None else _access(prometheus, token_file, user, password_file, ca_file)
    report = run_replay(
        Options(access, deliveries, since, until, step, config_file, changes or (), mode.value, alert or (), plans)
    )
    if output is answers.Format.JSON:
        answers.as_json(as_data(report))
    else:
        show(console, report)


def _access(
    prometheus: str | None, token_file: Path | None, user: str, password_file: Path | None, ca_file: Path | None
) -> "Access":
    from runbookctl.replay.prometheus import Access

    return Access(prometheus or "", token_file, user, password_file, ca_file)


def _require_one_source(prometheus: str | None, deliveries: Path | None) -> None:
    if deliveries is None and not prometheus:
        raise WrongUsage("no past is given; set --prometheus (PROMETHEUS_URL) or --deliveries")
