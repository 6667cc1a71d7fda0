"""The systemd units: systemd itself finds no mistake in them, and rates them as exposed to little."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.toolchain.paths import ROOT

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
# Those of systemd.exec(5), NoNewPrivileges=, that the unit sets; systemd 252, of Debian 12, still behaves like this.
IMPLY_NO_NEW_PRIVILEGES = (
    *("NoNewPrivileges", "LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock"),
    *("ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables"),
    *("RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"),
    *("SystemCallArchitectures", "SystemCallFilter"),
)
MOST_EXPOSURE = 2.0  # of 10, where the user of the unit does not exist


@pytest.fixture(params=UNITS, ids=[unit.stem for unit in UNITS])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the unit with a program and a user that exist here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", request.param.read_text(), flags=re.MULTILINE)
    file = tmp_path / request.param.name
    file.write_text(re.sub(r"^User=.*", "User=daemon", text, flags=re.MULTILINE))
    return file


def test_systemd_finds_no_mistake(unit: Path) -> None:
    result = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_unit_is_exposed_to_little(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", unit]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Overall exposure level .*: ([\d.]+)", result.stdout)
    assert found, result.stdout
    assert float(found[1]) <= MOST_EXPOSURE


def test_with_sudo_undoes_every_setting_that_keeps_sudo_from_running() -> None:
    unit, drop_in = (
        dict(re.findall(r"^(\w+)=(.*)$", (FOLDER / name).read_text(), flags=re.MULTILINE))
        for name in ("runbook-remediator.service", "with-sudo.conf")
    )
    assert {name: drop_in.get(name) for name in IMPLY_NO_NEW_PRIVILEGES if drop_in.get(name) not in ("no", "")} == {}
    assert set(IMPLY_NO_NEW_PRIVILEGES) <= unit.keys()
    assert (drop_in["PrivateUsers"], drop_in["CapabilityBoundingSet"]) == ("no", "~")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_uses_flags_that_the_daemon_has(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), flags=re.MULTILINE)
    program, *arguments = line.split()
    usage = subprocess.run(
        [ROOT / ".venv" / "bin" / Path(program).name, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert [each for each in arguments if each.partition("=")[0] not in usage] == []
