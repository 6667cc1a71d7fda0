"""`report`: what happened in a period, and the incident report of an episode."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from runbookctl.client import RemediatorClient
from runbookctl.errors import WrongUsage
from runbookctl.options import client_of
from runbookctl.printing import answers

DEFAULT_SINCE = "7d"


class ReportFormat(StrEnum):
    """The format of a report."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


def report(
    context: typer.Context,
    since: Annotated[
        str | None, typer.Option(help=f"How far to look back, as in 36h or 30d; default: {DEFAULT_SINCE}.")
    ] = None,
    stack: Annotated[str | None, typer.Option(help="Only this stack.")] = None,
    episode: Annotated[
        int | None,
        typer.Option(min=1, help="The incident report of this episode instead, as `runbookctl episodes` lists it."),
    ] = None,
    format_: Annotated[
        ReportFormat | None,
        typer.Option("--format", help="Format of the report; default: text, and markdown for an episode."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Write to this new file; without it, to standard output.")] = None,
    output: Annotated[
        answers.Format, typer.Option("--output", "-o", help="`json` is `--format json`, as for every command.")
    ] = answers.Format.TEXT,
) -> None:
    """Report what runbookd did in a period, what it refused and why, and which remediation is ready for more.

    With --episode, write the post-mortem of one incident: timeline, what was tried, what people did, and what is left
    to fill in.
    """
    format_ = _chosen(format_, output)
    if episode is not None and (since is not None or stack is not None):
        raise WrongUsage("--episode is about one incident; leave out --since and --stack")
    client = client_of(context)
    if episode is not None:
        _report_episode(client, episode, format_ or ReportFormat.MARKDOWN, file)
    else:
        _report_period(client, {"since": since or DEFAULT_SINCE, "stack": stack}, format_ or ReportFormat.TEXT, file)


def _chosen(format_: ReportFormat | None, output: answers.Format) -> ReportFormat | None:
    if output is answers.Format.TEXT:
        return format_
    if format_ not in (None, ReportFormat.JSON):
        raise WrongUsage(f"--output json means --format json, and --format {format_} was given as well; leave out one")
    return ReportFormat.JSON


def _report_period(
    client: RemediatorClient, query: dict[str, str | None], chosen: ReportFormat, file: Path | None
) -> None:
    answer = client.get("/api/v1/report", {**query, "format": chosen})
    _print(answer if chosen is ReportFormat.JSON else answer["text"], file)


def _report_episode(client: RemediatorClient, episode: int, chosen: ReportFormat, file: Path | None) -> None:
    if chosen in (ReportFormat.TEXT, ReportFormat.HTML):
        raise WrongUsage(f"the report of an episode is for people to finish; use --format markdown, not {chosen}")
    answer = client.get(f"/api/v1/episodes/{episode}/report")
    _print(answer if chosen is ReportFormat.JSON else answer["markdown"], file)


def _print(report: str | answers.Row, file: Path | None) -> None:
    text = report if isinstance(report, str) else answers.json_text(report) + "\n"
    if file is None:
        typer.echo(text, nl=False)
    else:
        _write_new(file, text)


def _write_new(file: Path, text: str) -> None:
    """Write a file that does not exist yet: one that people have finished must not be lost."""
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise WrongUsage(f"{file} exists already; name another file") from None
    except OSError as error:
        raise WrongUsage(f"{file}: {error.strerror}; name a file that you may write") from None
