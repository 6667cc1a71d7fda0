"""The progress of the set-up on standard error: a line per step, and counters."""

import sys
import time
from dataclasses import dataclass, field


@dataclass
class Progress:
    """One step. Its counter redraws a terminal line, or adds a line every `quiet` seconds."""

    title: str
    quiet: float = 5.0
    _started: float = field(default_factory=time.monotonic)
    _last_line: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        _print_line(f"  {self.title} ...")

    def show(self, done: int, total: int) -> None:
        """Show the bytes `done` of `total`."""
        text = f"    {_megabytes(done)} of {_megabytes(total)} MB"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text}\033[K")
            sys.stderr.flush()
        elif time.monotonic() - self._last_line > self.quiet:
            self._last_line = time.monotonic()
            _print_line(text)

    def tick(self, doing: str = "") -> None:
        """Show what a step without a counter is doing, or else the elapsed seconds."""
        text = f"    {doing or f'{time.monotonic() - self._started:.0f} s'}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text}\033[K")
            sys.stderr.flush()
        elif time.monotonic() - self._last_line > self.quiet:
            self._last_line = time.monotonic()
            _print_line(text)

    def done(self) -> None:
        """End the step and print its duration."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
        _print_line(f"    done in {time.monotonic() - self._started:.1f} s")


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f}"
