"""`password` prints a hash that the remediator accepts, and never the password."""

from pathlib import Path

import bcrypt
import pytest
from typer.testing import CliRunner

from runbookctl.errors import WrongUsage
from runbookctl.main import app
from runbookd.inventory import read_password_hash


def test_printed_hash_is_that_of_the_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["password"], input="correct horse é\n")
    assert result.exit_code == 0
    assert "horse" not in result.output
    (tmp_path / "file").write_text(result.stdout)
    assert bcrypt.checkpw("correct horse é".encode(), read_password_hash(tmp_path / "file", "oncall"))


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 73, "é" * 37, "correct horse\x00battery", "tab\tin a password"]
)
def test_password_that_cannot_work_is_refused(password: str) -> None:
    result = CliRunner().invoke(app, ["password"], input=f"{password}\n")
    assert isinstance(result.exception, WrongUsage)
    assert "horse" not in str(result.exception)
