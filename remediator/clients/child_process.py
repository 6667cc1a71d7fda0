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
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TERM_SECONDS = 2.0
TAIL_BYTES = 8_192
MAX_LINE = 300
MAX_LINES = 4
MAX_OUTPUT = 16_384  # bytes of a command's output that are kept, from its end
PIPE_GRACE_SECONDS = 0.5  # in which the last output arrives after the command has ended
_FIRST_WORD = re.compile(r"\S*\s*")
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
    async with _output_pipe(TAIL_BYTES) as errors:
        process = await _start(
            command,
            errors,
            environment,
            stdin=asyncio.subprocess.PIPE if feeds_stdin else _or_devnull(stdin),
            stdout=_or_devnull(stdout),
            stderr=errors.write_end,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                if isinstance(stdin, AsyncIterator):
                    tasks.create_task(_feed(process.stdin, stdin))
                status = tasks.create_task(process.wait())
        except BaseException as error:
            await _terminate(process)
            if isinstance(error, BaseExceptionGroup):  # only feeding stdin can fail, with the error of its source
                raise error.exceptions[0] from None
            raise
        await errors.finish()
    return ProcessResult(status.result(), _error_line(errors.text()))


@dataclass(frozen=True)
class CapturedResult:
    """The exit status of a command (negative: the signal), and the end of what it wrote to stdout and stderr.

    `left_processes`: it had left processes in its group, which were killed.
    """

    status: int
    output: str
    left_processes: bool


async def run_captured(command: Sequence[str], environment: Mapping[str, str]) -> CapturedResult:
    """Run `command` in the root folder to its end, with no more environment than given, and keep its last output.

    Cancellation ends its whole process group. A process that it leaves behind in its group is killed, because it would
    run without a limit. One that moved to a session of its own stays, but nothing waits for it.

    Raises:
        OSError: the command cannot be started.
    """
    async with _output_pipe(MAX_OUTPUT) as output:
        streams = {"stdin": asyncio.subprocess.DEVNULL, "stdout": output.write_end, "stderr": output.write_end}
        process = await _start(command, output, environment, cwd="/", **streams)
        try:
            status = await process.wait()
        except BaseException:
            await _terminate(process)
            raise
        left_processes = _signal_group(process.pid, signal.SIGKILL)
        await output.finish()
        return CapturedResult(status, output.text(), left_processes)


@dataclass(frozen=True)
class CommandOutput:
    """The exit status of a command (negative: the signal), its stdout, and what explains a failure in one line."""

    status: int
    stdout: str
    error_line: str


async def run_reading(command: Sequence[str], environment: Mapping[str, str], max_bytes: int) -> CommandOutput:
    """Run `command` in the root folder to its end, with no more environment than given, and keep its stdout in memory.

    Only the end of a longer stdout is kept, after an ellipsis. Cancellation ends its whole process group.

    Raises:
        OSError: the command cannot be started.
    """
    async with _output_pipe(TAIL_BYTES) as errors, _output_pipe(max_bytes) as output:
        streams = {"stdin": asyncio.subprocess.DEVNULL, "stdout": output.write_end, "stderr": errors.write_end}
        process = await _start(command, errors, environment, cwd="/", **streams)
        output.close_write_end()
        try:
            status = await process.wait()
        except BaseException:
            await _terminate(process)
            raise
        await errors.finish()
        await output.finish()
        return CommandOutput(status, output.text(), _error_line(errors.text()))


class _Output:
    """The last bytes that arrive in a pipe of our own.

    asyncio's pipes would make `wait` last until the last process with a copy of them has ended, whatever its session.
    """

    def __init__(self, write_end: int, stream: asyncio.StreamReader, max_bytes: int) -> None:
        self.write_end = write_end
        self._stream, self._max_bytes = stream, max_bytes
        self._content, self._is_cut = b"", False
        self._reading = asyncio.create_task(self._read())

    def close_write_end(self) -> None:
        """Leave the command as the only writer, so that the pipe ends with it."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    async def finish(self) -> None:
        """Read what arrived before the command has ended; another process may hold the pipe open for ever."""
        await asyncio.wait([self._reading], timeout=PIPE_GRACE_SECONDS)

    def cancel(self) -> None:
        """Stop reading."""
        self._reading.cancel()

    def text(self) -> str:
        """Return the bytes as text, in which bytes that are not UTF-8 are replaced.

        If it was cut, its first word is left out: the rest of a secret would not be recognized.
        """
        text = self._content.decode("utf-8", "replace")
        return (f"… {_FIRST_WORD.sub('', text, count=1)}" if self._is_cut else text).strip()

    async def _read(self) -> None:
        while chunk := await self._stream.read(self._max_bytes):
            content = self._content + chunk
            self._is_cut = self._is_cut or len(content) > self._max_bytes
            self._content = content[-self._max_bytes :]


@asynccontextmanager
async def _output_pipe(max_bytes: int) -> AsyncIterator[_Output]:
    """Open a pipe for the output of a command, and read it in the background."""
    read_end, write_end = os.pipe()
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(read_end, "rb", 0)
    )
    output = _Output(write_end, stream, max_bytes)
    try:
        yield output
    finally:
        output.close_write_end()
        output.cancel()
        transport.close()


async def _start(
    command: Sequence[str], output: _Output, environment: Mapping[str, str], **options: Any
) -> asyncio.subprocess.Process:
    """Start the command in its own process group.

    If cancelled before asyncio returns the process, end its whole group, unlike asyncio.
    """
    start_task = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=_die_with_parent(os.getpid()),
            **options,
        )
    )
    start_task.add_done_callback(lambda _: output.close_write_end())
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


def _error_line(text: str) -> str:
    """Return what explains a failure, in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
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


def _signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to a process group; return whether it had a process."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
