"""Any input from outside has an answer: readable, or refused in words; never another error.

Inputs that once failed are kept in corpus/ and tried first. More examples: RUNBOOK_EXAMPLES=100000 pytest tests/fuzz.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.bullmq import Queue
from exporter.bullmq.ages import JobAges
from exporter.bullmq.discovery import count_workers, queue_bases
from exporter.bullmq.ready_since import FIELDS
from exporter.redis.info import InfoSamples, parse_info
from runbookd.inventory import Inventory, InventoryError, load_inventory
from tools.docs import ROOT

CORPUS = Path(__file__).parent / "corpus"
EXAMPLES = int(os.environ.get("RUNBOOK_EXAMPLES", "60"))
often = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
SETS = [yaml.safe_load(file.read_text()) for file in sorted(ROOT.glob("deploy/runbooks/*/inventory.yml"))]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.datetimes(),
    st.binary(max_size=5),
    st.sampled_from(["", "5m", "-1s", "1e309", "{{x}}", "{name}", "../..", "postgresql://a:b@[::1", "\ud800", "0x10"]),
)
ODD = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=5
)


def kept(kind: str) -> list[Path]:
    return sorted(file for file in (CORPUS / kind).iterdir())


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, by its keys."""
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


def with_odd(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the document with another value at a place."""
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = with_odd(document[path[0]], path[1:], value)
    return copy


def check_inventory(file: Path) -> None:
    try:
        inventory = load_inventory(file, {})
    except InventoryError as error:
        refusal = str(error)
    else:
        refusal = str(file) if inventory is None or isinstance(inventory, Inventory) else ""
    assert str(file) in refusal


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "inventory.yml"


@pytest.mark.parametrize("example", kept("inventory"), ids=lambda file: file.name)
def test_kept_inventory_has_an_answer(example: Path) -> None:
    check_inventory(example)


@often
@given(data=st.data())
def test_inventory_with_an_odd_value_anywhere_has_an_answer(file: Path, data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(SETS))
    path = data.draw(st.sampled_from(list(places(document))))
    file.write_text(yaml.dump(with_odd(document, path, data.draw(ODD)), allow_unicode=False))
    check_inventory(file)


@often
@given(text=st.text() | st.text("{}[]:,-&*!|>'\"%@ \n\ta1", max_size=60))
def test_any_text_as_an_inventory_has_an_answer(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    check_inventory(file)


@pytest.mark.parametrize("example", kept("info"), ids=lambda file: file.name)
def test_kept_info_gives_samples(example: Path) -> None:
    check_info(example.read_bytes())


def check_info(reply: bytes) -> None:
    samples = InfoSamples(parse_info(reply), 0)
    names = [(sample.metric.name, sample.labels) for sample in samples.samples()]
    assert names
    assert isinstance(samples.note, str)


LINES = st.sampled_from([line for file in kept("info") for line in file.read_bytes().splitlines()])


@often
@given(lines=st.lists(st.one_of(LINES, st.binary(max_size=40), st.tuples(LINES, st.binary(max_size=12)).map(b"".join))))
def test_any_info_gives_samples(lines: list[bytes]) -> None:
    check_info(b"\r\n".join(lines))


PREFIXES = ["bull", "{bull}", "a:b", ""]
KEYS = st.lists(
    st.binary(max_size=30)
    | st.tuples(st.sampled_from([b"bull:", b"{bull}:", b"a:b:"]), st.binary(max_size=9)).map(
        lambda parts: b"".join(parts) + b":meta"
    )
)


@often
@given(keys=KEYS, clients=st.binary(max_size=200))
def test_any_key_and_client_is_a_queue_or_none(keys: list[bytes], clients: bytes) -> None:
    for prefix, queue in queue_bases(keys, PREFIXES):
        assert f"{prefix}:{queue}:meta".encode(errors="surrogateescape") in keys
    assert all(number > 0 for number in count_workers(clients, 0, PREFIXES).values())


HASHES = st.lists(
    st.none()
    | st.binary(max_size=12)
    | st.sampled_from([b"1700000000000", b"-1", b"nan", b"inf", b'{"delay":1e400}', b'{"delay":' + b"[" * 5000]),
    min_size=len(FIELDS),
    max_size=len(FIELDS),
)


@often
@given(fields=HASHES)
def test_any_hash_of_a_job_costs_only_its_own_age(fields: list[bytes | None]) -> None:
    since = JobAges(Queue("mail", "bull:mail"))._waiting_since_or_none(b"1", fields, 1_700_000_000.0)
    assert since is None or since <= 1_700_000_000.0
