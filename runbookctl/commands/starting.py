"""`start` and `undo`: show the plan and every bound, ask, then run exactly this plan."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from runbookctl.client import WrongUsage
from runbookctl.options import OutputOption, RunArgument, client_of, console
from runbookctl.printing import answers, preview

ReasonOption = Annotated[str, typer.Option(help="Reason, which the record of the run keeps.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Confirm without a question.")]


def start(
    context: typer.Context,
    remediation: Annotated[str, typer.Argument(help="The remediation.")],
    target: Annotated[str, typer.Argument(help="The target, like shop/postgres/main or shop/queues/jobs/emails.")],
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter; may be repeated.")
    ] = None,
    reason: ReasonOption = "",
    yes: YesOption = False,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Show the plan and every bound of a run, then start it if you confirm."""
    body = {"remediation": remediation, "target": target, "parameters": _parse_values(values or ()), "reason": reason}
    _ask_and_confirm(context, body, output, yes=yes)


def undo(
    context: typer.Context,
    number: RunArgument,
    reason: ReasonOption = "",
    yes: YesOption = False,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Show what would undo the effects of a run, then do it if you confirm."""
    _ask_and_confirm(context, {"undo": number, "reason": reason}, output, yes=yes)


def _parse_values(pairs: Sequence[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not name or not separator:
            raise WrongUsage(f"--set {pair[:50]!r}: write NAME=VALUE")
        values[name] = value
    return values


def _ask_and_confirm(context: typer.Context, body: Mapping[str, Any], output: answers.Format, *, yes: bool) -> None:
    client = client_of(context)
    asked = client.post("/api/v1/questions", body)
    if output is answers.Format.TEXT:
        _show(asked)
    if not yes and not typer.confirm(f"Run exactly this? It would be: {asked['would']}", err=True):
        raise typer.Exit(1)
    run = client.post(f"/api/v1/questions/{asked['id']}/confirm", {"plan_hash": asked["plan_hash"]})
    answers.print_result(
        console, run, output, f"run {run['id']} is started; follow it with `runbookctl run {run['id']}`"
    )


def _show(asked: Mapping[str, Any]) -> None:
    preview.show(console, {**asked, **asked["plan"]})
    for name, value in asked["parameters"].items():
        answers.line(console, f"parameter {name}: {value}")
    answers.line(console, f"undo: {asked['undo']['kind']}. {asked['undo']['sentence']}")
