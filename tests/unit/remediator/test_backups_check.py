"""A drill whose address is a product's, and a key that opens no new backup, are refused with the line."""

from pathlib import Path
from typing import Any

import pyrage
import pytest

from remediator.backups_check import backup_findings, drill_findings
from runbookd.inventory import BackupTarget, Inventory

PRODUCT = "postgresql://shop:secret@db.internal:5432/shop"


def inventory(drill_dsn: str, *, product: str = PRODUCT, **drill: Any) -> Inventory:
    settings = {"dsn": drill_dsn, "postgres": "main", "max_bytes": 1, **drill}
    nightly = {"url": "s3://b/", "pattern": "%Y%m%d.dump", "drill": settings}
    shop = {"postgres": {"main": {"dsn": "postgresql://metrics@elsewhere/x"}}, "backups": {"nightly": nightly}}
    other = {"postgres": {"main": {"dsn": "postgresql://metrics@replica/x", "admin_dsn": product}}}
    return Inventory.model_validate({"stacks": {"shop": shop, "other": other}})


def reasons(checked: Inventory) -> list[str]:
    return [finding.reason for finding in drill_findings(checked)]


@pytest.mark.parametrize(
    ("drill", "product"),
    [
        (PRODUCT, PRODUCT),
        ("postgresql://drill@DB.internal./postgres", PRODUCT),
        ("postgres://drill@standby,db.internal/postgres", PRODUCT),
        ("postgresql://drill@localhost/postgres", "postgresql://x@127.0.0.1/shop"),
        ("postgresql://drill@/postgres?host=/run/postgresql", "postgresql://x@[::1]/shop"),
        ("host=db.internal dbname=postgres", PRODUCT),
    ],
)
def test_drill_at_the_address_of_any_stack_is_refused(drill: str, product: str) -> None:
    [reason] = reasons(inventory(drill, product=product))
    assert reason.startswith("leads to the same server as stacks.other.postgres.main.admin_dsn")
    assert "secret" not in reason


@pytest.mark.parametrize("drill", ["postgresql://shop@scratch/postgres", "postgresql://drill@db.internal:5433/x"])
def test_drill_at_another_address_is_accepted(drill: str) -> None:
    assert reasons(inventory(drill)) == []


def test_allowed_server_still_needs_a_role_of_its_own() -> None:
    allowed = {"same_server": {"max_bytes": "1GiB"}}
    assert reasons(inventory("postgresql://drill@db.internal/postgres", **allowed)) == []
    assert "has the same role" in reasons(inventory("postgresql://shop@db.internal/postgres", **allowed))[0]


def findings(target: dict[str, Any]) -> list[str]:
    backup = BackupTarget.model_validate({"url": "s3://b/", "pattern": "%Y%m%d.dump", **target})
    return [finding.reason for finding in backup_findings(("backups", "nightly"), backup)]


def test_key_that_opens_no_new_backup_is_reported(tmp_path: Path) -> None:
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    file = tmp_path / "identity"
    file.write_text(str(mine))
    decrypt = {"decrypt": {"identity_file": str(file)}}
    assert findings({**decrypt, "encrypt": {"recipients": [str(mine.to_public()), str(other.to_public())]}}) == []
    [reason] = findings({**decrypt, "encrypt": {"recipients": [str(other.to_public())]}})
    assert str(mine.to_public()) in reason
    assert "SECRET" not in reason


@pytest.mark.parametrize("text", ["", "AGE-SECRET-KEY-1DAMAGED", "-----BEGIN KEY-----"])
def test_unusable_identity_is_reported_without_quoting_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "identity"
    file.write_text(text)
    [reason] = findings({"decrypt": {"identity_file": str(file)}})
    assert "DAMAGED" not in reason
    assert "BEGIN" not in reason
