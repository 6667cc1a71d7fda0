"""The address of the ledger comes from a flag without a password, or from a file."""

from pathlib import Path

import pytest

from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.sqlite.store import SqliteLedger
from remediator.ledger_flags import configured_ledger
from remediator.settings import LedgerSettings
from runbookd.service import UnusableConfiguration

SECRET = "planted-secret"


def refusal(settings: LedgerSettings) -> str:
    with pytest.raises(UnusableConfiguration) as error:
        configured_ledger(settings)
    assert SECRET not in str(error.value)
    return str(error.value)


async def test_url_selects_the_kind_of_ledger(tmp_path: Path) -> None:
    assert isinstance(configured_ledger(LedgerSettings(url=f"sqlite:///{tmp_path}/ledger.db")), SqliteLedger)
    ledger = configured_ledger(LedgerSettings(url="postgresql://runbookd_writer@db/runbookd"))
    assert isinstance(ledger, PostgresLedger)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://writer:{SECRET}@db/runbookd",
        f"postgresql://writer@db/runbookd?password={SECRET}",
        f"postgres://writer@db/runbookd?sslpassword={SECRET}",
    ],
)
def test_password_on_the_command_line_is_refused_with_the_remedy(url: str) -> None:
    message = refusal(LedgerSettings(url=url))
    assert message.startswith("--ledger.url: the address has a password, which every user of this machine sees")
    assert message.endswith("set --ledger.url-file")


async def test_file_may_hold_an_address_with_a_password(tmp_path: Path) -> None:
    file = tmp_path / "ledger.url"
    file.write_text(f"postgresql://writer:{SECRET}@db/runbookd\n")
    ledger = configured_ledger(LedgerSettings(url_file=file))
    assert isinstance(ledger, PostgresLedger)
    assert ledger.address.password == SECRET


def test_unusable_addresses_are_named_with_their_flag(tmp_path: Path) -> None:
    file = tmp_path / "ledger.url"
    missing = refusal(LedgerSettings(url_file=file))
    assert missing.startswith(f"--ledger.url-file: cannot read {file}")
    file.write_text(f"postgresql://writer:{SECRET}@db/runbookd?unheard_of=1")
    assert refusal(LedgerSettings(url_file=file)).startswith("--ledger.url-file: the parameter 'unheard_of' is unknown")
    file.write_text(f"postgresql://writer:{SECRET}@db")
    assert "names no database" in refusal(LedgerSettings(url_file=file))
    assert "both set" in refusal(LedgerSettings(url="sqlite:///a.db", url_file=file))
