"""`breaker list` and `breaker close`."""

from typing import Annotated
from urllib.parse import quote

import typer

from runbookctl.options import OutputOption, client_of, console
from runbookctl.printing import answers


def list_breakers(context: typer.Context, output: OutputOption = answers.Format.TEXT) -> None:
    """List open breakers."""
    answers.breakers(console, client_of(context).get("/api/v1/breakers"), output)


def close_breaker(
    context: typer.Context,
    remediation: Annotated[str, typer.Argument(help="The remediation.")],
    target: Annotated[str, typer.Argument(help="The target, for example shop/postgres/main.")],
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Close a breaker once you have fixed the target: the remediation may act on it again."""
    path = f"/api/v1/breakers/{quote(remediation, safe='')}/{quote(target, safe='')}"
    answer = client_of(context).delete(path)
    answers.print_result(console, answer, output, f"the breaker of {remediation} on {target} is closed")
