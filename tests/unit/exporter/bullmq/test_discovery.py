"""Keys identify queues, and client names identify workers."""

import base64

import pytest

from exporter.bullmq.discovery import count_workers, escape_glob, queue_bases


def encoded(queue: str) -> str:
    return base64.b64encode(queue.encode()).decode()


@pytest.mark.parametrize(
    ("prefixes", "keys", "expected"),
    [
        (["bull"], [b"bull:mail:meta", b"bull:mail:id", b"other:mail:meta"], {("bull", "mail")}),
        (["bull"], [b"bull:a:b:meta", b"bull::meta", b"bull:meta"], {("bull", "a:b")}),
        (["{bull}"], [b"{bull}:mail:meta"], {("{bull}", "mail")}),
        (["bull"], [b"bull:{mail}:meta"], {("bull", "{mail}")}),
        (["bull", "bull:eu"], [b"bull:mail:meta", b"bull:eu:mail:meta"], {("bull", "mail"), ("bull:eu", "mail")}),
        (["bull"], [b"bull:\xff:meta"], {("bull", "\udcff")}),
    ],
)
def test_queues_are_discovered_from_their_meta_keys(
    prefixes: list[str], keys: list[bytes], expected: set[tuple[str, str]]
) -> None:
    assert queue_bases(keys, prefixes) == expected


def client(name: str, database: int = 0) -> str:
    return f"id=3 addr=127.0.0.1:5 fd=8 name={name} age=0 idle=0 flags=b db={database} sub=0 cmd=bzpopmin"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([f"bull:{encoded('mail')}"] * 2, {("bull", "mail"): 2}),
        ([f"bull:{encoded('a:b')}:w:one", f"bull:{encoded('a:b')}"], {("bull", "a:b"): 2}),
        ([f"bull:{encoded('mail')}:qe", f"bull:{encoded('mail')}:qs"], {}),
        (["bull:no base64", "bull", "bull:", "", "runbook-exporter", "bull:////", f"other:{encoded('mail')}"], {}),
        ([f"bull:{encoded('größe')}"], {("bull", "größe"): 1}),
    ],
)
def test_workers_are_counted_by_client_name(names: list[str], expected: dict[tuple[str, str], int]) -> None:
    listing = "\n".join([*map(client, names), client(f"bull:{encoded('elsewhere')}", database=1)]) + "\n"
    assert count_workers(listing.encode(), 0, ["bull"]) == expected


def test_glob_characters_in_a_prefix_are_escaped() -> None:
    assert escape_glob(r"b[u]ll*?\x") == r"b\[u\]ll\*\?\\x"
