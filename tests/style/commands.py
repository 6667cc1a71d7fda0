"""The commands that pages, comments and texts of the product tell their readers to run."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tests.style.prose import of_python

PROGRAMS = ("runbookctl", "runbook-exporter", "runbook-remediator", "make", "curl", "python", "python3")
SYNOPSES = "docs/reference/runbookctl.md"  # its first table leaves out the program's name
ALERTS = "alert_rules/"  # a line of their annotations is a command, or a sentence that begins with one
_PREFIXES = ("sudo", "env", "exec", "time")
_CONTAINERS = ("docker", "kubectl", "podman")
_FENCE = re.compile(r"^\s*(?:```+|~~~+)\s*(\S*)")
_SHELLS = ("", "sh", "bash", "console")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_COMMENT = re.compile(r"^\s*(?:#|--|//)( .*|)$")
_INDENTED = re.compile(r"^ {4,}\S")
_SEPARATORS = frozenset("|&;()<>")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
_EMPTY_VALUE = re.compile(r"=$")
_OR = "¦"
_NAMED = re.compile(rf"`[^`\n]*\b(?:{'|'.join(PROGRAMS)})\b")


@dataclass(frozen=True)
class Command:
    """A command with its place; a whole one stands in a block, a part of one may stand within a sentence."""

    place: str
    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(self.words)}"


def of_file(file: str, text: str) -> Iterator[Command]:
    """Yield the commands of a page, of the texts of a Python file, or of the comments of any other file."""
    if file.endswith(".py"):
        for passage in of_python(file, text) if _NAMED.search(text) else ():
            yield from _of_spans(passage.place, passage.text)
    elif file.endswith(".md") or file.startswith(ALERTS):
        yield from _of_page(file, _TEMPLATE.sub("x", text))
    else:
        yield from _of_page(file, "\n".join(_comment(line) for line in text.splitlines()))


def _comment(line: str) -> str:
    match = _COMMENT.match(line)
    return match[1][1:] if match else ""


def _of_page(file: str, text: str) -> Iterator[Command]:
    fence: str | None = None
    are_synopses = file == SYNOPSES
    lines = list(enumerate(text.splitlines(), start=1))
    while lines:
        number, line = lines.pop(0)
        place = f"{file}:{number}"
        are_synopses = are_synopses and not line.startswith("## ")
        if match := _FENCE.match(line):
            fence = match[1] if fence is None else None
        elif fence in _SHELLS or (fence is None and _INDENTED.match(line)):
            while line.endswith("\\") and lines:
                line = f"{line[:-1]} {lines.pop(0)[1]}"
            yield from of_line(place, line, is_whole=not file.startswith(ALERTS))
        elif fence is None:
            yield from _of_spans(place, _with_program(line) if are_synopses else line)


def _with_program(line: str) -> str:
    """Complete the synopses in the first column of a table."""
    if not line.startswith("| `"):
        return line
    cell = re.split(r"(?<!\\)\|", line)[1]
    return _SPAN.sub(r"`runbookctl \1`", cell)


def _of_spans(place: str, text: str) -> Iterator[Command]:
    for span in _SPAN.findall(text):
        yield from of_line(place, span.replace("\\|", _OR), is_whole=False)


def of_line(place: str, line: str, *, is_whole: bool = True) -> Iterator[Command]:
    """Yield each command of a line of a shell that starts one of PROGRAMS."""
    for words in _simple_commands(line.strip().removeprefix("$ ")):
        at = _program_at(words)
        if at is not None:
            yield Command(place, (PurePath(words[at]).name, *_plain(words[at + 1 :])), is_whole)


def _simple_commands(line: str) -> Iterator[Sequence[str]]:
    """Split at pipes and other signs of the shell; what cannot be read is prose."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:
        return
    words: list[str] = []
    skip = False
    for token in tokens:
        if _SEPARATORS.issuperset(token):
            skip = "<" in token or ">" in token  # the file of a redirection
            if not skip:
                yield words
                words = []
        elif not skip:
            words.append(token)
        else:
            skip = False
    yield words


def _program_at(words: Sequence[str]) -> int | None:
    """Return the place of the program, behind sudo, variables and the command that enters a container."""
    at = 0
    while at < len(words):
        word = words[at]
        if PurePath(word).name in PROGRAMS:
            return at
        if word in _CONTAINERS:
            return next((number for number, each in enumerate(words) if each in PROGRAMS), None)
        if word == "-u":
            at += 2
        elif word in _PREFIXES or word.startswith("-") or re.match(r"[A-Z_]+=", word):
            at += 1
        else:
            return None
    return None


def _plain(words: Sequence[str]) -> Iterator[str]:
    """Drop the signs of a synopsis: brackets, and the dots of what may be repeated or is left out."""
    for word in words:
        plain = word.strip("[]…").split(_OR)[0]
        if plain not in ("", "...", "\\"):
            yield _EMPTY_VALUE.sub("=x", plain)
