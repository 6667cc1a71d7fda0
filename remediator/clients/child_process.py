"""Runs a command of the inventory: an argument list, never a shell, in a process group that ends when we stop waiting.

When the remediator itself dies, the kernel ends the command (Linux: PR_SET_PDEATHSIG): no dump outlives its run.
"""

import asyncio
import ctypes
import os
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
# Loaded before any fork: between fork and exec a child of a threaded process may do next to nothing.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class ProcessResult:
    """How a command ended: its exit status (negative: the signal), and the line of its stderr that says most."""

    status: int
    error_line: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    def __str__(self) -> str:
        how = f"ended with {self.status}" if self.status >= 0 else f"was ended by signal {-self.status}"
        return f"{how}: {self.error_line}" if self.error_line else how


async def run_command(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: IO[bytes] | AsyncIterator[bytes] | None = None,
    stdout: IO[bytes] | None = None,
) -> ProcessResult:
    """Run `command` to its end, with no more environment than given. Cancelled, it takes its whole group with it.

    Raises:
        OSError: it can not be started.
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
        if isinstance(error, BaseExceptionGroup):  # only the feeding can fail, with its source's own error
            raise error.exceptions[0] from None
        raise
    assert process.returncode is not None  # wait() has returned  # noqa: S101
    return ProcessResult(process.returncode, error_line.result())


async def _start(command: Sequence[str], **options: Any) -> asyncio.subprocess.Process:
    """Start it. It runs before asyncio returns it: cancelled in between, asyncio would end it without its group."""
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
    """What the child does before it becomes the command: asks to be killed when its parent dies."""

    def set_death_signal() -> None:
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return set_death_signal


async def _feed(pipe: asyncio.StreamWriter | None, chunks: AsyncIterator[bytes]) -> None:
    """Write `chunks` to the command. One that wants no more says by its exit status whether it was content."""
    assert pipe is not None  # opened above  # noqa: S101
    with suppress(BrokenPipeError, ConnectionResetError):
        async for chunk in chunks:
            pipe.write(chunk)
            await pipe.drain()
    pipe.close()


async def _read_error_line(stream: asyncio.StreamReader | None) -> str:
    """Read all of stderr, keep its end, and return the last line that speaks of an error, or else the last line."""
    assert stream is not None  # opened above  # noqa: S101
    tail = b""
    while chunk := await stream.read(TAIL_BYTES):
        tail = (tail + chunk)[-TAIL_BYTES:]
    lines = [line.strip() for line in tail.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
    return (errors or lines or [""])[-1][:MAX_LINE]


async def _terminate(process: asyncio.subprocess.Process) -> None:
    """End the group: politely, so that pg_dump cancels its query on the server, then for good."""
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
