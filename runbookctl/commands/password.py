"""`password`: the hash of an operator's password, for `operators.NAME.password_file`."""

import sys

import typer

from runbookctl.errors import WrongUsage
from runbookctl.options import OutputOption, console
from runbookctl.printing import answers

MIN_CHARACTERS, MAX_BYTES = 12, 72
COST = 12  # a quarter of a second per sign-in, and per guess


def print_hash(output: OutputOption = answers.Format.TEXT) -> None:
    """Print the bcrypt hash of a password, for an operator's password_file.

    It asks twice, or reads one line from standard input. Redirect the output into the file.
    """
    import bcrypt

    password = _ask() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    _require_usable(password)
    found = bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()
    answers.print_result(console, {"hash": found}, output, found)


def _ask() -> str:
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def _require_usable(password: str) -> None:
    """Refuse a password that is guessed easily, or that bcrypt would not take.

    Raises:
        WrongUsage: it never shows the password.
    """
    if len(password) < MIN_CHARACTERS:
        raise WrongUsage(f"the password is shorter than {MIN_CHARACTERS} characters; choose a longer one")
    if len(password.encode("utf-8", "surrogateescape")) > MAX_BYTES:
        raise WrongUsage(f"the password is longer than {MAX_BYTES} bytes, bcrypt's limit; choose a shorter one")
    if not password.isprintable():
        raise WrongUsage("the password has characters that a browser cannot send; choose others")
