"""Checks commit messages for `area: imperative summary`; installed as a Git hook."""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_SUBJECT = 72
_SUBJECT = re.compile(r"(?P<areas>[a-z][\w/.-]*(, [a-z][\w/.-]*)*): (?P<verb>\w+)")
_GIT_WRITES = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")
_NOT_IMPERATIVE = re.compile(r"(?!embed|feed|need|seed|shed|speed|bring|string)\w+(?:ed|ing)\b")


def problems(message: str) -> Iterator[str]:
    """Yield the problems of a commit message, one sentence each."""
    subject, *body = [line for line in message.splitlines() if not line.startswith("#")] or [""]
    if subject.startswith(_GIT_WRITES):
        return
    if len(subject) > MAX_SUBJECT:
        yield f"the subject has {len(subject)} characters; use at most {MAX_SUBJECT}"
    if body and body[0].strip():
        yield "the second line is not empty; add a blank line between subject and body"
    yield from _subject_problems(subject)


def _subject_problems(subject: str) -> Iterator[str]:
    shape = _SUBJECT.match(subject)
    if shape is None:
        yield "the subject is not `area: imperative summary`; write for example `exporter: report lag of slots`"
    elif not shape["verb"][0].islower():
        yield f"the summary starts with {shape['verb']!r}; start it with a verb in lower case"
    elif _NOT_IMPERATIVE.match(shape["verb"]):
        yield f"the summary starts with {shape['verb']!r}; use the imperative: `add`, not `added` or `adding`"


def main() -> int:
    """Print the problems of the message in Git's file; return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m tools.commit_message", description=__doc__)
    parser.add_argument("file", type=Path, help="Git's file with the message")
    lines = list(problems(parser.parse_args().file.read_text(encoding="utf-8")))
    for problem in lines:
        print(f"commit-msg: {problem}", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
