"""Servers from wheels match their hash, cannot be imported by Python, and run."""

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
    """Create a wheel in a folder, as pip's only source, and use a separate `.tools`."""
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
    output = commands.capture([root / "served" / "launchers" / "serve"], remedy="")
    assert output.split(":")[0].strip() == str(root / "served" / "libs")
    assert {path.name for path in root.rglob("*") if path.is_file()} == {".stamp", "serve", "libone.so"}


def test_fetched_wheel_is_not_fetched_again(carrier: Path) -> None:
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


def test_wheel_that_does_not_exist_for_this_machine_is_skipped(carrier: Path) -> None:
    root = fetch_wheels((_wheel(carrier, another_machine="0" * 64),))
    assert [entry.name for entry in root.iterdir()] == [".stamp"]
    with pytest.raises(SetupError, match="run make setup, which fetches PostgreSQL 18 if it exists for this machine"):
        paths.postgres_packages(18)


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda wheel: wheel.requirement)
def test_unpacked_packages_cannot_be_imported(wheel: Wheel) -> None:
    assert importlib.util.find_spec(wheel.parts[0].folder.partition("/")[0]) is None
