"""`--url` and `--token-file`, which work before the command and after it."""

from collections.abc import Sequence

import typer
from typer.core import TyperGroup

_OPTIONS = ("--url", "--token-file")


class ConnectionFirst(TyperGroup):
    """The commands; options of the connection are read wherever they stand."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse `args` with the options of the connection first."""
        return super().parse_args(ctx, connection_first(args))


def connection_first(arguments: Sequence[str]) -> list[str]:
    """Return `arguments` with `--url` and `--token-file` before the command; those after `--` stay."""
    first: list[str] = []
    rest: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            rest += [word, *words]
            break
        if word in _OPTIONS and words:
            first += [word, words.pop(0)]
        elif word.startswith(tuple(f"{option}=" for option in _OPTIONS)):
            first.append(word)
        else:
            rest.append(word)
    return first + rest
