"""Runs a command of the inventory in its own process group, without a shell.

If the remediator itself dies, the kernel kills the command (Linux: PR_SET_PDEATHSIG): no dump outlives its run.
"""

import asyncio
import ctypes
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TERM_SECONDS = 2.0
TAIL_BYTES = 8_192
MAX_LINE = 300
MAX_LINES = 4
_ERROR = re.compile(r"error|fatal|panic|exception", re.IGNORECASE)
# Loaded before any fork: a child of a threaded process cannot safely load libraries between fork and exec.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class ProcessResult:
    """The exit status of a command (negative: the signal), and what explains it in one line."""

    status: int
    error_line: str

    @property
    def ok(self) -> bool:
        """True if the command exited with status 0."""
        return self.status == 0

    def __str__(self) -> str:
        how = f"ended with {self.status}" if self.status >= 0 else f"was killed by signal {-self.status}"
        return f"{how}: {self.error_line}" if self.error_line else how


async def run_command(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: IO[bytes] | AsyncIterator[bytes] | None = None,
    stdout: IO[bytes] | None = None,
) -> ProcessResult:
    """Run `command` to its end, with no more environment than given.

    Cancellation ends its whole process group.

    Raises:
        OSError: the command cannot be started.
    """
    feeds_stdin = isinstance(stdin, AsyncIterator)
    process = await _start(
        command,
        stdin=asyncio.subprocess.PIPE if feeds_stdin else _or_devnull(stdin),
        stdout=_or_devnull(stdout),
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=_die_with_parent(os.getpid()),
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            error_line = tasks.create_task(_read_error_line(process.stderr))
            if isinstance(stdin, AsyncIterator):
                tasks.create_task(_feed(process.stdin, stdin))
            tasks.create_task(process.wait())
    except BaseException as error:
        await _terminate(process)
        if isinstance(error, BaseExceptionGroup):  # only feeding stdin can fail, with the error of its source
            raise error.exceptions[0] from None
        raise
    assert process.returncode is not None  # wait() has returned  # noqa: S101
    return ProcessResult(process.returncode, error_line.result())


async def _start(command: Sequence[str], **options: Any) -> asyncio.subprocess.Process:
    """Start the command.

    If cancelled before asyncio returns the process, end its whole group, unlike asyncio.
    """
    start_task = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, **options))
    try:
        return await asyncio.shield(start_task)
    except asyncio.CancelledError:
        with suppress(OSError):
            await _terminate(await start_task)
        raise


def _or_devnull(file: Any) -> Any:
    return asyncio.subprocess.DEVNULL if file is None else file


def _die_with_parent(parent: int) -> Any:
    """Return the pre-exec function that makes the kernel kill a child with its parent."""

    def set_death_signal() -> None:
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before prctl
            os._exit(1)

    return set_death_signal


async def _feed(pipe: asyncio.StreamWriter | None, chunks: AsyncIterator[bytes]) -> None:
    """Write `chunks` to the command.

    It may close its stdin early; its exit status tells whether that is a failure.
    """
    assert pipe is not None  # opened above  # noqa: S101
    with suppress(BrokenPipeError, ConnectionResetError):
        async for chunk in chunks:
            pipe.write(chunk)
            await pipe.drain()
    pipe.close()


async def _read_error_line(stream: asyncio.StreamReader | None) -> str:
    """Read all of stderr; return what explains the failure, in one line."""
    assert stream is not None  # opened above  # noqa: S101
    tail = b""
    while chunk := await stream.read(TAIL_BYTES):
        tail = (tail + chunk)[-TAIL_BYTES:]
    lines = [line.strip() for line in tail.decode("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(line[:MAX_LINE] for line in _explaining(lines))


def _explaining(lines: Sequence[str]) -> Sequence[str]:
    """Return the last lines from the first error among them on: a tool's details and hints follow its error."""
    errors = [number for number, line in enumerate(lines) if _ERROR.search(line)]
    if not errors:
        return lines[-1:]
    last_lines = range(max(errors[0], len(lines) - MAX_LINES), len(lines))
    first = next((number for number in errors if number in last_lines), None)
    return lines[first:] if first is not None else [lines[errors[-1]], *lines[last_lines.start + 1 :]]


async def _terminate(process: asyncio.subprocess.Process) -> None:
    """End the process group: SIGTERM, then SIGKILL.

    SIGTERM lets pg_dump cancel its query on the server.
    """
    try:
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(TERM_SECONDS):
                await process.wait()
    finally:
        _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
