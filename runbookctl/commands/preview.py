"""`plan`, `why` and `simulate`: show what would be done, and why; change nothing."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from runbookctl.client import WrongUsage
from runbookctl.options import OutputOption, RunArgument, client_of, console
from runbookctl.printing import answers, preview


def plan(
    context: typer.Context,
    remediation: Annotated[str, typer.Argument(help="The remediation.")],
    target: Annotated[str, typer.Argument(help="The target, like shop/postgres/main or shop/queues/jobs/emails.")],
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Show the plan and every bound as if the target's alert fired now; changes nothing."""
    answer = client_of(context).get("/api/v1/plan", {"remediation": remediation, "target": target})
    if output is answers.Format.JSON:
        answers.as_json(answer)
    else:
        preview.show(console, answer)


def why(context: typer.Context, number: RunArgument, output: OutputOption = answers.Format.TEXT) -> None:
    """Explain a run: what stopped it, what comes next, and what would be done now."""
    answer = client_of(context).get(f"/api/v1/runs/{number}/why")
    if output is answers.Format.JSON:
        answers.as_json(answer)
        return
    answers.head(console, answer["run"])
    for then, details in answer["bounds"].items():
        for name, detail in details.items():
            answers.line(console, f"{then.replace('_', ' ')} {name}: {detail}")
    for item in answer["run"]["items"]:
        if item["state"] in ("failed", "unknown", "not_applied", "skipped"):
            answers.line(console, answers.item_line(item))
    for name, text in _next_steps(answer):
        answers.line(console, f"{name}: {text}")
    answers.line(console, "now:", style="bold")
    preview.show(console, answer["now"])


def _next_steps(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if answer["error"]:
        yield "error", answer["error"]
    if answer["run"]["finished_at"] is None:
        for name in ("not_before", "expires_at"):
            if answer[name]:
                yield name.replace("_", " "), answers.moment(answer[name])
    yield "what next", answer["what_next"]


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise WrongUsage(f"cannot read {file}: {error.strerror}") from None


def simulate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSON file with Alertmanager's webhook body; - for stdin.")],
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Show what each alert of a delivery would start if it came now; changes nothing."""
    answer = client_of(context).post_file("/api/v1/simulate", _read(file))
    if output is answers.Format.JSON:
        answers.as_json(answer)
        return
    alerts = "1 alert" if answer["alerts"] == 1 else f"{answer['alerts']} alerts"
    console.print(f"{alerts}, {answer['without_remediation']} of them without a remediation")
    for each in answer["episodes"]:
        console.print()
        preview.show(console, each)
