"""Servers out of wheels: checked against their hash, unpacked where no Python finds them, ready to run."""

import hashlib
import importlib.util
import platform
import zipfile
from pathlib import Path

import pytest

from tools.toolchain import commands, paths
from tools.toolchain.errors import SetupError
from tools.toolchain.wheels import WHEELS, Wheel, WheelServer, fetch_wheels

FILES = {
    "carrier/__init__.py": "raise SystemExit('imported')",
    "carrier/pg/bin/serve": '#!/bin/sh\necho "$LD_LIBRARY_PATH"\n',
    "carrier/pg/include/big.h": "left out",
    "carrier.libs/libone.so": "",
    "carrier-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: carrier\nVersion: 1\n",
    "carrier-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "carrier-1.dist-info/RECORD": "",
}
PARTS = (WheelServer("served", "carrier/pg", ("serve",), "carrier.libs"),)


@pytest.fixture
def carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel in a folder, which is all that pip looks at; and a `.tools` of its own."""
    monkeypatch.setattr(paths, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(commands, "LOGS", tmp_path / "logs")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    wheel = tmp_path / "carrier-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in FILES.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100755 if "/bin/" in name else 0o100644) << 16
            archive.writestr(entry, text)
    return wheel


def _wheel(file: Path, **hashes: str) -> Wheel:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Wheel("carrier==1", hashes or {platform.machine(): digest}, PARTS)


def test_server_is_unpacked_with_its_libraries_and_without_python(carrier: Path) -> None:
    root = fetch_wheels((_wheel(carrier),))
    said = commands.capture([root / "served" / "launchers" / "serve"], remedy="")
    assert said.split(":")[0].strip() == str(root / "served" / "libs")
    assert {path.name for path in root.rglob("*") if path.is_file()} == {".stamp", "serve", "libone.so"}


def test_what_is_there_is_not_fetched_again(carrier: Path) -> None:
    wheel = _wheel(carrier)
    root = fetch_wheels((wheel,))
    carrier.unlink()
    assert fetch_wheels((wheel,)) == root


def test_wheel_with_another_hash_is_refused(carrier: Path, tmp_path: Path) -> None:
    wheel = _wheel(carrier)
    with zipfile.ZipFile(carrier, "a") as archive:
        archive.writestr("carrier/more", "slipped in")
    with pytest.raises(SetupError, match=r"pip failed: ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"):
        fetch_wheels((wheel,))
    assert not (tmp_path / "tools" / "wheels").exists()


def test_wheel_that_this_machine_has_none_of_is_left_out(carrier: Path) -> None:
    root = fetch_wheels((_wheel(carrier, another_machine="0" * 64),))
    assert [entry.name for entry in root.iterdir()] == [".stamp"]
    with pytest.raises(SetupError, match="fetches PostgreSQL 18 where there is one for this machine"):
        paths.postgres_packages(18)


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda wheel: wheel.requirement)
def test_no_python_finds_the_packages_whose_start_up_changes_the_machine(wheel: Wheel) -> None:
    assert importlib.util.find_spec(wheel.parts[0].folder.partition("/")[0]) is None
