"""`report`: the incident report of an episode, in Markdown."""

from pathlib import Path
from typing import Annotated

import typer

from runbookctl.errors import WrongUsage
from runbookctl.options import OutputOption, client_of
from runbookctl.printing import answers


def report(
    context: typer.Context,
    episode: Annotated[int, typer.Option(min=1, help="Number of the episode, as `runbookctl episodes` lists it.")],
    file: Annotated[Path | None, typer.Option(help="Write to this new file; without it, to standard output.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Write the post-mortem of an episode: timeline, what was tried, what people did, and what is left to fill in."""
    answer = client_of(context).get(f"/api/v1/episodes/{episode}/report")
    if output is answers.Format.JSON:
        answers.as_json(answer)
    elif file is None:
        typer.echo(answer["markdown"], nl=False)
    else:
        _write_new(file, answer["markdown"])


def _write_new(file: Path, text: str) -> None:
    """Write a file that does not exist yet: one that people have finished must not be lost."""
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise WrongUsage(f"{file} exists already; name another file") from None
    except OSError as error:
        raise WrongUsage(f"{file}: {error.strerror}; name a file that you may write") from None
