"""Sessions that send bytes which are not UTF-8, as no driver does."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

from demo.servers.postgres import PostgresServer
from tools.toolchain.paths import launcher

RawSession = subprocess.Popen[bytes]


@contextmanager
def raw_database(server: PostgresServer) -> Iterator[RawSession]:
    """Yield a session in a database of its own that takes any bytes."""
    name = f"ascii_{token_hex(6)}"
    server.sql(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with raw_session(server.dsn(database=name)) as session:
        ask(session, b"SET client_encoding = 'SQL_ASCII'; \\echo 1\n")
        yield session
    server.drop_database(name)


@contextmanager
def raw_session(dsn: str) -> Iterator[RawSession]:
    command = [str(launcher("psql")), "-X", "-q", "-A", "-t", dsn]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.terminate()


def ask(session: RawSession, statements: bytes) -> None:
    """Send statements that print only 1, and wait for it."""
    assert session.stdin is not None
    assert session.stdout is not None
    session.stdin.write(statements)
    session.stdin.flush()
    assert session.stdout.readline() == b"1\n"
