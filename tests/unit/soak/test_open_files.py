"""What a process holds open is counted by its name, a connection by its other end."""

import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from soak.open_files import CLIENT, OpenFiles, connection_to


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_server(("127.0.0.1", 0)))


@pytest.fixture
def files(server: socket.socket, stack: ExitStack) -> OpenFiles:
    """Return the files of this process, which has a connection to `postgres`."""
    stack.enter_context(socket.create_connection(server.getsockname()))
    return OpenFiles(os.getpid(), 1, {server.getsockname()[1]: "postgres"})


def test_new_file_and_both_ends_of_a_connection_are_named(
    server: socket.socket, stack: ExitStack, tmp_path: Path
) -> None:
    port = server.getsockname()[1]
    files = OpenFiles(os.getpid(), port, {})
    before = files.count()
    file = stack.enter_context((tmp_path / "page").open("w"))
    stack.enter_context(socket.create_connection(server.getsockname()))
    stack.enter_context(server.accept()[0])
    assert files.count() - before == Counter([file.name, connection_to(f"port {port}"), CLIENT])


def test_connection_stays_known_when_a_reading_misses_it(files: OpenFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = files.count()
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self: "header\n" if self.name == "tcp" else read(self))
    assert files.count() == expected
    assert expected[connection_to("postgres")] == 1


def test_connection_that_a_reading_has_twice_counts_once(files: OpenFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self: read(self) + read(self).partition("\n")[2])
    assert files.count()[connection_to("postgres")] == 1
