"""The password files of operators: refused ones are named with their remedy, never with their content."""

from pathlib import Path

import bcrypt
import pytest
from pydantic import ValidationError

from remediator.passwords_check import password_findings
from runbookctl.doctor.secret_files import check_passwords
from runbookd.inventory import Inventory, read_password_hash

HASH = "$2b$10$5bqSC3qHItUyD9ULwM.qV.xlevhiI6KBFOxzzY9NtGQtDM222Hofi"  # of: correct horse


def inventory(folder: Path, **texts: str) -> Inventory:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return Inventory.model_validate({"operators": {name: {"password_file": folder / name} for name in texts}})


@pytest.mark.parametrize(
    "text", [HASH, f"{HASH}\n", f"oncall:{HASH}\n", f":{HASH}\n\n", HASH.replace("$2b$", "$2y$"), f"\ufeff{HASH}"]
)
def test_hash_and_line_of_htpasswd_are_read(tmp_path: Path, text: str) -> None:
    found = inventory(tmp_path, oncall=text)
    assert list(password_findings(found)) == []
    assert bcrypt.checkpw(b"correct horse", read_password_hash(tmp_path / "oncall", "oncall"))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("hunter2", "holds no bcrypt hash"),
        ("", "is empty"),
        (f"{HASH}\n{HASH}", "more than one line"),
        (f"mia:{HASH}", "the line of another user"),
        (HASH[:-1], "holds no bcrypt hash"),
        (HASH.replace("$10$", "$04$"), "the cost 4, not 10 to 15"),
        (HASH.replace("$10$", "$20$"), "the cost 20, not 10 to 15"),
        ("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$hash", "holds no bcrypt hash"),
        ("$apr1$x$y", "holds no bcrypt hash"),
    ],
)
def test_unusable_file_is_named_with_its_remedy(tmp_path: Path, text: str, cause: str) -> None:
    [finding] = password_findings(inventory(tmp_path, oncall=text))
    assert finding.path == ("operators", "oncall", "password_file")
    assert cause in finding.reason
    assert "hunter2" not in finding.reason
    assert "$" not in finding.reason
    [reported] = check_passwords(inventory(tmp_path, oncall=text))
    assert (cause in reported.problem, bool(reported.repair)) == (True, True)


def test_missing_file_is_named(tmp_path: Path) -> None:
    found = Inventory.model_validate({"operators": {"oncall": {"password_file": tmp_path / "none"}}})
    [finding] = password_findings(found)
    assert f"cannot read {tmp_path}/none" in finding.reason


def test_two_operators_with_one_hash_are_refused(tmp_path: Path) -> None:
    [finding] = password_findings(inventory(tmp_path, mia=HASH, oncall=f"oncall:{HASH}"))
    assert finding.path == ("operators", "oncall", "password_file")
    assert "has the hash of mia" in finding.reason


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"operators": {"oncall": {}}}, "needs token_file"),
        ({"console": {"proxy_header": "X-User"}}, "needs trusted_proxies"),
        ({"console": {"trusted_proxies": ["0.0.0.0/0"]}}, "trusts every machine"),
        ({"console": {"trusted_proxies": ["::/0"]}}, "trusts every machine"),
        ({"console": {"trusted_proxies": ["proxy"]}}, "no address and no network"),
        ({"console": {"trusted_proxies": ["10.0.0.1/24"]}}, "no address and no network"),
        ({"console": {"proxy_header": "X User", "trusted_proxies": ["10.0.0.1"]}}, "not the name of a header"),
        ({"console": {"proxy_header": "Cookie", "trusted_proxies": ["10.0.0.1"]}}, "means something else"),
        ({"console": {"proxy_header": "x-forwarded-for", "trusted_proxies": ["10.0.0.1"]}}, "means something else"),
    ],
)
def test_console_that_could_not_be_trusted_is_refused(document: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Inventory.model_validate(document)


def test_operator_whom_only_the_proxy_names_needs_no_file() -> None:
    console = {"proxy_header": "X-Remote-User", "trusted_proxies": ["10.0.0.1"]}
    assert Inventory.model_validate({"console": console, "operators": {"mia": {}}}).operators["mia"].token_file is None
