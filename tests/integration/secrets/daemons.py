"""Real processes of the product, with everything that they show."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Event, Thread

from tools.toolchain.paths import ROOT, venv_program


class Daemon:
    """A daemon on a free port, and its log so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.log = ""
        self.url = ""
        self._reading: asyncio.Task[None] | None = None

    async def wait_until_listening(self) -> None:
        """Read the log until it names the address, and then to its end in the background."""
        assert self._process.stderr is not None
        while not (found := re.search(r"event=listening address=(\S+)", self.log)):
            line = await self._process.stderr.readline()
            assert line, self.log
            self.log += line.decode()
        self.url = f"http://{found[1]}"
        self._reading = asyncio.create_task(self._read_log())

    async def _read_log(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self.log += line.decode()

    async def stop(self) -> None:
        """End the process and read the rest of its log."""
        self._process.terminate()
        await self._process.wait()
        if self._reading is not None:
            await self._reading


@asynccontextmanager
async def daemon(program: str, *arguments: str, folder: Path) -> AsyncIterator[Daemon]:
    """Run a daemon with its most talkative log."""
    process = await asyncio.create_subprocess_exec(
        venv_program(program),
        *(*arguments, "--web.listen-address", "127.0.0.1:0", "--log.level", "debug"),
        env=_environment(),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    running = Daemon(process)
    try:
        await running.wait_until_listening()
        yield running
    finally:
        await running.stop()


async def output_of(program: str, *arguments: str, folder: Path, **extra: str) -> str:
    """Return all that a command prints."""
    process = await asyncio.create_subprocess_exec(
        venv_program(program),
        *arguments,
        env={**_environment(), **extra},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        output, _ = await process.communicate()
    return output.decode()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNBOOK") and "_URL" not in name}
    return {**kept, "PYTHONPATH": str(ROOT)}


@contextmanager
def watched_command_lines() -> Iterator[set[str]]:
    """Yield the command lines of all processes of this machine, collected while the block runs."""
    seen: set[str] = set()
    over = Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.update(_command_lines())

    thread = Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _command_lines() -> Iterator[str]:
    for process in Path("/proc").iterdir() if sys.platform == "linux" else ():
        if process.name.isdigit():
            try:
                yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
