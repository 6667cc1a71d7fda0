"""Fetches servers from Debian's archive and extracts them into the checkout."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.toolchain.alertmanager_patch import patch_template_path
from tools.toolchain.apt import PrivateApt, extract, last_list
from tools.toolchain.closure import Package, fetch_list, parse_available
from tools.toolchain.commands import log_file
from tools.toolchain.fonts import write_font_configuration
from tools.toolchain.launchers import write_launchers
from tools.toolchain.paths import TOOLS, group_root
from tools.toolchain.progress import Progress
from tools.toolchain.stamps import digest, is_current, replace_folder

_POSTGRES = "usr/lib/postgresql/15/bin"
# Increase this if the same packages would be extracted differently.
_FORMAT = "1"


@dataclass(frozen=True)
class PackageGroup:
    """Packages that are fetched into one folder, and the programs to use from them."""

    name: str
    packages: tuple[str, ...]
    programs: dict[str, str]
    finish: Callable[[Path], None] | None = None
    # A suite of the same archive, if not the machine's own release.
    suite: str = ""

    def inputs(self, codename: str) -> str:
        """Return a hash of what determines the folder's content, except security updates."""
        programs = (f"{name}={path}" for name, path in self.programs.items())
        return digest(_FORMAT, codename, *([self.suite] if self.suite else []), *self.packages, *programs)


SERVERS = PackageGroup(
    name="servers",
    packages=(
        "postgresql-15",
        "postgresql-client-15",
        "redis-server",
        "redis-tools",
        "prometheus",
        "prometheus-alertmanager",
        "pgbouncer",
    ),
    programs={
        **{
            name: f"{_POSTGRES}/{name}"
            for name in (
                *("postgres", "initdb", "psql", "pg_basebackup"),
                *("pg_dump", "pg_dumpall", "pg_restore", "pg_isready", "pgbench"),
            )
        },
        "pgbouncer": "usr/sbin/pgbouncer",
        # Debian's redis-server is a link to redis-check-rdb, a program that acts by its own name.
        **{name: f"usr/bin/{name}" for name in ("redis-server", "redis-cli", "prometheus", "promtool", "amtool")},
        "alertmanager": "usr/bin/prometheus-alertmanager",
    },
    finish=lambda root: patch_template_path(root / "usr/bin/prometheus-alertmanager"),
)

# For the tests of the console, and for pictures.
BROWSER = PackageGroup(
    name="browser",
    packages=("chromium", "chromium-common", "fonts-inter", "fonts-dejavu-core"),
    programs={"chromium": "usr/lib/chromium/chromium"},
    finish=write_font_configuration,
)

# Makes pictures of pages a quarter of their size, and measures this machine as a host of the demo.
PICTURES = PackageGroup(
    name="pictures",
    packages=("pngquant", "prometheus-node-exporter"),
    programs={"pngquant": "usr/bin/pngquant", "node_exporter": "usr/bin/prometheus-node-exporter"},
)

# The fork of Redis, for tests; Debian 12 has it in its backports.
VALKEY = PackageGroup(
    name="valkey",
    packages=("valkey-server", "valkey-tools"),
    programs={"valkey-server": "usr/bin/valkey-server"},
    suite="bookworm-backports",
)

# Steps the clocks of the remediators in `make chaos`.
FAKETIME = PackageGroup(name="faketime", packages=("libfaketime",), programs={})

# For comparison in `make bench`: Debian 13's packages run with the libc of Debian 12.
EXPORTERS = PackageGroup(
    name="exporters",
    packages=("prometheus-postgres-exporter", "prometheus-redis-exporter"),
    programs={
        "postgres_exporter": "usr/bin/prometheus-postgres-exporter",
        "redis_exporter": "usr/bin/prometheus-redis-exporter",
    },
    suite="trixie",
)

# pip for a Python without it, and the certificates that Debian's pip needs.
PIP = PackageGroup(name="pip", packages=("python3-pip-whl", "ca-certificates"), programs={})


def fetch_group(
    group: PackageGroup, apt_folder: Path = Path("/etc/apt"), os_release: Path = Path("/etc/os-release")
) -> Path:
    """Return the folder with the group's packages; fetch it if it is missing or outdated.

    Raises SetupError if the network, an archive or a package is missing.
    """
    codename = _codename(os_release)
    root, inputs = group_root(group.name), group.inputs(codename)
    if not is_current(root, inputs):
        with replace_folder(root, inputs) as partial:
            _fill(group, partial, _ready_apt(apt_folder, codename, group.suite))
    return root


def _codename(os_release: Path) -> str:
    fields = dict(line.split("=", 1) for line in os_release.read_text().splitlines() if "=" in line)
    return fields.get("VERSION_CODENAME", "unknown").strip('"')


def _ready_apt(apt_folder: Path, codename: str, suite: str) -> PrivateApt:
    step = Progress(f"fetch Debian's package lists{f' of {suite}' if suite else ''}")
    apt = PrivateApt(TOOLS / "apt")
    apt.prepare(apt_folder, codename, suite)
    apt.update(lambda: step.tick(last_list(log_file("apt-update").read_text(errors="replace"))))
    step.done()
    return apt


def _fill(group: PackageGroup, root: Path, apt: PrivateApt) -> None:
    packages = fetch_list(parse_available(apt.available()), group.packages)
    downloads = _downloads(group, packages)
    _download(group, packages, downloads, apt)
    step = Progress(f"extract {len(packages)} packages")
    for archive in sorted(downloads.iterdir()):
        extract(archive, root)
    shutil.rmtree(downloads)
    write_launchers(root, group.programs)
    if group.finish is not None:
        group.finish(root)
    step.done()


def _downloads(group: PackageGroup, packages: list[Package]) -> Path:
    """Return the folder of the files, with those of an interrupted set-up, which apt completes."""
    folder = TOOLS / "downloads" / group.name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {(package.name, package.version): package for package in packages}
    for file in folder.iterdir():
        name, _, rest = file.name.partition("_")
        package = wanted.get((name, rest.rpartition("_")[0].replace("%3a", ":")))
        if package is None or not _can_go_on(file, package):
            file.unlink()
    return folder


def _can_go_on(file: Path, package: Package) -> bool:
    """Return whether a file is incomplete or right: apt verifies what it fetches, but no file that is long enough."""
    return file.stat().st_size < package.size or hashlib.sha256(file.read_bytes()).hexdigest() == package.sha256


def _download(group: PackageGroup, packages: list[Package], into: Path, apt: PrivateApt) -> None:
    total = sum(package.size for package in packages)
    step = Progress(f"fetch {len(packages)} Debian packages for {group.name} ({total / 1_000_000:.0f} MB)")
    apt.download(
        [package.name for package in packages],
        into,
        lambda: step.show(sum(file.stat().st_size for file in into.iterdir()), total),
    )
    step.done()
