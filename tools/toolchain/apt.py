"""A private apt: its own lists and cache inside the checkout, an empty package database, no hooks, no privilege."""

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.toolchain.apt_sources import debian_sources
from tools.toolchain.commands import capture, error_line, log_file, run_logged
from tools.toolchain.errors import SetupError

_NETWORK = "check the network and the machine's package sources, then run make setup again"

# The machine's own apt.conf.d is read before this file and stays in force (proxies, credentials). Its hooks do not:
# they would tidy the machine's caches or rebuild its indexes.
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

# Another archive may call its suite like Debian's and offer newer packages of the same names.
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
    """apt's programs, kept to one folder."""

    folder: Path

    def prepare(self, apt_folder: Path, codename: str, suite: str = "") -> None:
        """Writes the configuration, for the machine's release or for another `suite` of Debian.

        Raises SetupError where the machine knows no Debian archive.
        """
        for part in ("state/lists/partial", "cache/archives/partial", "log"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        stanzas = [source.stanza() for source in debian_sources(apt_folder, codename, suite)]
        (self.folder / "debian.sources").write_text("\n".join(stanzas))
        (self.folder / "preferences").write_text(_ONLY_DEBIAN)
        (self.folder / "status").write_text("")
        (self.folder / "apt.conf").write_text(_CONFIGURATION.format(folder=self.folder))

    def update(self, tick: Callable[[], None]) -> None:
        """Fetches the lists of packages. One archive out of reach is no failure: the others may have what is needed."""
        with suppress(SetupError):
            run_logged("apt-update", [*self._program("apt-get"), "update"], remedy=_NETWORK, tick=tick)

    def available(self) -> str:
        """The stanzas of all packages, in the version that would be fetched.

        Raises SetupError, with what the last update complained of, when there is not one package.
        """
        stanzas = capture([*self._program("apt-cache"), "dumpavail"], remedy=_NETWORK)
        if not stanzas.strip():
            log = log_file("apt-update")
            raise SetupError(f"no list of packages could be fetched: {error_line(log)}", f"log {log}", _NETWORK)
        return stanzas

    def download(self, packages: Sequence[str], into: Path, tick: Callable[[], None]) -> None:
        """Fetches package files, checked by apt against the signed lists."""
        arguments = [*self._program("apt-get"), "download", *packages]
        run_logged("apt-download", arguments, remedy=_NETWORK, cwd=into, tick=tick)

    def _program(self, name: str) -> list[str]:
        return [name, "-q", "-c", str(self.folder / "apt.conf")]


def extract(archive: Path, into: Path) -> None:
    """Unpacks a package's files; none of its scripts runs."""
    result = subprocess.run(["dpkg-deb", "-x", archive, into], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SetupError(result.stderr.strip(), archive.name, "free some disk space and run make setup again")
