"""`ledger export` leaves a whole file or none."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.sqlite.memory import _empty_ledger
from remediator.model.errors import LedgerUnavailable
from runbookctl.commands.ledger import export_ledger
from runbookctl.errors import RemediatorRefused, WrongUsage


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    (tmp_path / "ledger.db").write_bytes(_empty_ledger())
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.mark.parametrize(
    ("error", "refused"),
    [(LedgerUnavailable("it went away"), RemediatorRefused), (OSError(28, "No space left on device"), WrongUsage)],
)
def test_failed_export_leaves_no_part_of_a_file(
    error: Exception, refused: type[Exception], ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(_connection: AsyncConnection, _since: datetime) -> AsyncIterator[str]:
        yield "{}"
        raise error

    monkeypatch.setattr("remediator.ledger.export.export_lines", failing)
    with pytest.raises(refused):
        export_ledger(ledger, tmp_path / "export.jsonl")
    assert not (tmp_path / "export.jsonl").exists()


def test_file_that_exists_is_left_as_it_is(ledger: str, tmp_path: Path) -> None:
    (tmp_path / "export.jsonl").write_text("mine")
    with pytest.raises(WrongUsage, match="exists already"):
        export_ledger(ledger, tmp_path / "export.jsonl")
    assert (tmp_path / "export.jsonl").read_text() == "mine"


def test_ledger_that_this_user_cannot_look_at_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="run this as the remediator's user"):
        export_ledger(f"sqlite:///{tmp_path}/{'x' * 300}", tmp_path / "export.jsonl")
