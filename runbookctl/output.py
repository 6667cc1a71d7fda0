"""The standard streams, whatever they are: closed, a terminal of any encoding, a full disk, a closed pipe."""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def run_with_output(command: Callable[[], int]) -> int:
    """Run `command`, which prints, and return its exit status; 1 if its output cannot be written.

    A reader that closes the pipe, such as `head`, has what it wanted: then nothing is reported.
    """
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for as long as the command runs
    if sys.stdout is None:
        _report("standard output is closed: nothing can be printed; open it")
        return 1
    _accept_any_character()
    try:
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return 1
    except OSError as error:
        if error.errno not in OUTPUT_ERRORS:
            raise
        _discard_output()
        _report(f"cannot write the output: {error.strerror}; free some space, or print elsewhere")
        return 1
    return status


def is_unicode() -> bool:
    """Return whether standard output takes every character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")


def _accept_any_character() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Lead the rest nowhere; else the interpreter reports it again when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _report(problem: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"runbookctl: {problem}", file=sys.stderr, flush=True)
