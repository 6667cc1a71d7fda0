"""The commands that ask what would be done, and why: `plan`, `why` and `simulate`. They do nothing, record nothing."""

from pathlib import Path
from typing import Annotated

import typer

from runbookctl import preview, show
from runbookctl.asking import Output, Run, client_of, console


def plan(
    context: typer.Context,
    remediation: Annotated[str, typer.Argument(help="The remediation.")],
    target: Annotated[str, typer.Argument(help="The target, as in shop/postgres/main or shop/queues/jobs/emails.")],
    output: Output = show.Format.TEXT,
) -> None:
    """Show what would be done if this target's alert fired now, and every bound; does nothing."""
    answer = client_of(context).get("/api/v1/plan", {"remediation": remediation, "target": target})
    if output is show.Format.JSON:
        show.as_json(answer)
    else:
        preview.show(console, answer)


def why(context: typer.Context, number: Run, output: Output = show.Format.TEXT) -> None:
    """Show why a run is where it is: what stopped it, what comes next, and what would be done now."""
    answer = client_of(context).get(f"/api/v1/runs/{number}/why")
    if output is show.Format.JSON:
        show.as_json(answer)
        return
    run = answer["run"]
    console.print(f"run {run['id']}: {run['remediation']} on {run['target']}", highlight=False, soft_wrap=True)
    console.print(f"{run['state']} {run['reason']}".rstrip(), style="bold", highlight=False)
    for then, hits in answer["bounds"].items():
        for name, detail in hits.items():
            console.print(f"{then.replace('_', ' ')} {name}: {detail}", highlight=False, soft_wrap=True)
    for name in ("error", "not_before", "expires_at", "what_next"):
        if answer[name]:
            console.print(f"{name.replace('_', ' ')}: {answer[name]}", highlight=False, soft_wrap=True)
    console.print("now:", style="bold")
    preview.show(console, answer["now"])


def simulate(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="A webhook body of Alertmanager, a JSON file.", exists=True, dir_okay=False)
    ],
    output: Output = show.Format.TEXT,
) -> None:
    """Show what would become of each alert of a delivery if it came now; does nothing."""
    answer = client_of(context).post_file("/api/v1/simulate", file.read_bytes())
    if output is show.Format.JSON:
        show.as_json(answer)
        return
    console.print(f"{answer['alerts']} alerts, {answer['without_remediation']} of them without a remediation")
    for each in answer["episodes"]:
        console.print()
        preview.show(console, each)
