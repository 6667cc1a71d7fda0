"""`episodes` and `ack`: the problems that are open, and who has them in hand."""

import sys
from typing import Annotated

import typer

from runbookctl.options import OutputOption, StackOption, client_of, console
from runbookctl.printing import answers

EpisodeArgument = Annotated[int, typer.Argument(help="Number of an episode, as `runbookctl episodes` lists it.", min=1)]


def episodes(
    context: typer.Context,
    number: Annotated[int | None, typer.Argument(help="Show this episode.", min=1)] = None,
    stack: StackOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of episodes to list.")] = 20,
    before: Annotated[int | None, typer.Option(min=1, help="Only episodes older than this number.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """List the open episodes, newest first: since when they fire, and who has them in hand."""
    from runbookctl.printing.episodes import show, show_list

    query = {"stack": stack, "state": None if everything else "open", "limit": str(limit)}
    query |= {"before": str(before)} if before is not None else {}
    path = "/api/v1/episodes" if number is None else f"/api/v1/episodes/{number}"
    answer = client_of(context).get(path, query if number is None else None)
    if output is answers.Format.JSON:
        answers.as_json(answer)
    elif number is not None:
        show(console, answer)
    else:
        show_list(console, answer["episodes"])
        if answer["next"] is not None:
            print(f"older episodes: --before {answer['next']}", file=sys.stderr)


def ack(
    context: typer.Context,
    number: EpisodeArgument,
    note: Annotated[str, typer.Option(help="The next step, for the other contacts.")] = "",
    span: Annotated[
        str | None, typer.Option("--for", help="Duration such as 2h; without it, until it changes.")
    ] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Acknowledge an episode: its ladder stands still until it changes, ends, or the time is over."""
    body = {"note": note} | ({"for": span} if span is not None else {})
    answer = client_of(context).post(f"/api/v1/episodes/{number}/acknowledge", body)
    until = f" until {answers.moment(answer['until'])}" if answer["until"] else ""
    sentence = f"episode {number} is yours{until}; its ladder climbs again if it changes"
    answers.print_result(console, answer, output, sentence)
