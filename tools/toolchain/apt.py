"""A private apt: own lists and cache in the checkout, no hooks, no root rights."""

import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.toolchain.apt_sources import debian_sources
from tools.toolchain.commands import capture, error_line, log_file, run_logged
from tools.toolchain.errors import SetupError

_NETWORK = "check the network and the machine's package sources, then run make setup again"

_LIST = re.compile(r"^Get:\d+ \S+ (.+)$", re.MULTILINE)

# apt reads the machine's apt.conf.d before this file, so its proxies and credentials apply. Its hooks are cleared:
# they would clean the machine's caches or rebuild its indexes.
_CONFIGURATION = """\
Dir::Etc::SourceList "{folder}/debian.sources";
Dir::Etc::SourceParts "-";
Dir::Etc::Preferences "{folder}/preferences";
Dir::Etc::PreferencesParts "-";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}/log";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Acquire::Retries "2";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""

# Another archive may use Debian's suite names and offer newer packages of the same names.
_ONLY_DEBIAN = """\
Package: *
Pin: release o=Debian
Pin-Priority: 500

Package: *
Pin: release o=Debian Backports
Pin-Priority: 500

Package: *
Pin: release *
Pin-Priority: -1
"""


@dataclass(frozen=True)
class PrivateApt:
    """apt's programs, restricted to one folder."""

    folder: Path

    def prepare(self, apt_folder: Path, codename: str, suite: str = "") -> None:
        """Write the configuration for the machine's release or another `suite` of Debian.

        Raises SetupError if the machine has no source of Debian packages.
        """
        for part in ("state/lists/partial", "cache/archives/partial", "log"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        stanzas = [source.stanza() for source in debian_sources(apt_folder, codename, suite)]
        (self.folder / "debian.sources").write_text("\n".join(stanzas))
        (self.folder / "preferences").write_text(_ONLY_DEBIAN)
        (self.folder / "status").write_text("")
        (self.folder / "apt.conf").write_text(_CONFIGURATION.format(folder=self.folder))

    def update(self, tick: Callable[[], None]) -> None:
        """Fetch the package lists. Ignore unreachable archives: others may have the packages."""
        with suppress(SetupError):
            run_logged("apt-update", [*self._program("apt-get"), "update"], remedy=_NETWORK, tick=tick)

    def available(self) -> str:
        """Return the stanzas of all packages, in the version that apt would fetch.

        Raises SetupError with the error of the last update if there are no packages.
        """
        stanzas = capture([*self._program("apt-cache"), "dumpavail"], remedy=_NETWORK)
        if not stanzas.strip():
            log = log_file("apt-update")
            raise SetupError(f"cannot fetch the package lists: {error_line(log)}", f"log {log}", _NETWORK)
        return stanzas

    def download(self, packages: Sequence[str], into: Path, tick: Callable[[], None]) -> None:
        """Fetch package files; apt verifies them against the signed lists."""
        arguments = [*self._program("apt-get"), "download", *packages]
        run_logged("apt-download", arguments, remedy=_NETWORK, cwd=into, tick=tick)

    def _program(self, name: str) -> list[str]:
        return [name, "-q", "-c", str(self.folder / "apt.conf")]


def last_list(log: str) -> str:
    """Return the list that `apt-get update` fetched last, with its size."""
    lists = _LIST.findall(log)
    return str(lists[-1]) if lists else ""


def extract(archive: Path, into: Path) -> None:
    """Unpack a package's files without running its scripts."""
    result = subprocess.run(["dpkg-deb", "-x", archive, into], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SetupError(result.stderr.strip(), archive.name, "free some disk space and run make setup again")
