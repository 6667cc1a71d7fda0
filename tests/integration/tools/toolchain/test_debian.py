"""Packages come with their libraries and from Debian's archive only."""

from pathlib import Path

import pytest

from demo.servers.ports import free_port
from tests.integration.tools.toolchain.archive import build_archive, build_package
from tools.toolchain import commands, debian, paths
from tools.toolchain.alertmanager_patch import patch_template_path
from tools.toolchain.apt_sources import Source, debian_sources, parse_deb822, parse_one_line
from tools.toolchain.closure import fetch_list, parse_available
from tools.toolchain.debian import SERVERS, PackageGroup, fetch_group
from tools.toolchain.errors import SetupError
from tools.toolchain.launchers import write_launchers
from tools.toolchain.paths import group_root

TOOL = PackageGroup(name="tool", packages=("tool",), programs={"tool": "usr/share/tool"})


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a separate `.tools`, in a folder that only its owner may enter."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    for module in (paths, debian):
        monkeypatch.setattr(module, "TOOLS", folder / "tools")
    monkeypatch.setattr(commands, "LOGS", folder / "tools" / "logs")
    return folder / "tools"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Create a machine's /etc/apt and /etc/os-release."""
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    return tmp_path


def _fetch(group: PackageGroup, machine: Path) -> Path:
    return fetch_group(group, machine / "apt", machine / "os-release")


def _debian_archive(machine: Path) -> None:
    packages = [
        build_package(machine, "tool", depends="libtool (>= 1), adduser, libessential"),
        build_package(machine, "libtool", section="libs", depends="libdeep | libother"),
        build_package(machine, "libdeep", section="libs"),
        build_package(machine, "adduser", section="admin", depends="libadduser"),
        build_package(machine, "libadduser", section="libs"),
        build_package(machine, "apt", section="admin", depends="libessential"),
        build_package(machine, "libessential", section="libs"),
    ]
    (machine / "apt" / "sources.list").write_text(build_archive(machine / "debian", packages))


def test_program_comes_with_its_libraries_and_nothing_else(machine: Path, tools: Path) -> None:
    _debian_archive(machine)
    root = _fetch(TOOL, machine)
    assert root == tools / "tool"
    assert {file.name for file in (root / "usr" / "share").iterdir()} == {"tool", "libtool", "libdeep"}
    assert {entry.name for entry in root.iterdir()} == {"usr", "launchers", ".stamp"}


def test_newer_package_of_another_archive_is_ignored(machine: Path, tools: Path) -> None:
    _debian_archive(machine)
    line = build_archive(machine / "other", [build_package(machine, "tool", version="99")], origin="Other")
    (machine / "apt" / "sources.list.d" / "other.list").write_text(line)
    root = _fetch(TOOL, machine)
    assert (root / "usr" / "share" / "tool").read_text() == "1"


def test_unreachable_archive_is_ignored(machine: Path, tools: Path) -> None:
    _debian_archive(machine)
    broken = f"deb http://127.0.0.1:{free_port()}/debian bookworm main\n"
    (machine / "apt" / "sources.list.d" / "broken.list").write_text(broken)
    assert (_fetch(TOOL, machine) / "usr" / "share" / "tool").exists()


def test_missing_archives_are_reported_in_one_line(machine: Path, tools: Path) -> None:
    (machine / "apt" / "sources.list").write_text(f"deb http://127.0.0.1:{free_port()}/debian bookworm main\n")
    with pytest.raises(SetupError) as caught:
        _fetch(TOOL, machine)
    message = str(caught.value)
    assert "\n" not in message
    assert "check the network" in message
    assert not (tools / "tool").exists()


def test_package_missing_in_every_archive_is_reported(machine: Path, tools: Path) -> None:
    _debian_archive(machine)
    with pytest.raises(SetupError, match="package unheard-of not found in any archive"):
        _fetch(PackageGroup(name="tool", packages=("unheard-of",), programs={}), machine)
    assert not (tools / "tool").exists()


def test_damaged_package_is_refused(machine: Path, tools: Path) -> None:
    _debian_archive(machine)
    package = machine / "debian" / "tool_1_all.deb"
    package.write_bytes(package.read_bytes()[:-1] + b"!")
    with pytest.raises(SetupError, match="apt-download failed"):
        _fetch(TOOL, machine)
    assert not (tools / "tool").exists()


@pytest.mark.parametrize("share", [0.5, 1.0, None])
def test_file_of_an_interrupted_set_up_is_completed_and_an_older_version_is_removed(
    machine: Path, tools: Path, share: float | None
) -> None:
    """Half of a file, a whole one, and a damaged one."""
    _debian_archive(machine)
    content = (machine / "debian" / "tool_1_all.deb").read_bytes()
    left = tools / "downloads" / "tool"
    left.mkdir(parents=True)
    damaged = content[:-1] + b"!"
    (left / "tool_1_all.deb").write_bytes(damaged if share is None else content[: int(len(content) * share)])
    (left / "tool_0.9_all.deb").write_bytes(b"an older version, which would be extracted as well")
    root = _fetch(TOOL, machine)
    assert (root / "usr/share/tool").read_text() == "1"
    assert not left.exists()


def test_files_are_kept_if_the_set_up_ends_early(machine: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _debian_archive(machine)
    monkeypatch.setattr(debian, "extract", _stop)
    with pytest.raises(KeyboardInterrupt):
        _fetch(TOOL, machine)
    assert [file.name for file in (tools / "downloads" / "tool").glob("tool_*")] == ["tool_1_all.deb"]


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_packages_are_fetched_again_only_if_the_group_changes(machine: Path, tools: Path) -> None:
    _debian_archive(machine)
    root = _fetch(TOOL, machine)
    (root / "mine").touch()
    (machine / "apt" / "sources.list").unlink()
    assert _fetch(TOOL, machine) == root
    assert (root / "mine").exists()
    with pytest.raises(SetupError, match="no package source for Debian bookworm"):
        _fetch(PackageGroup(name="tool", packages=("tool", "adduser"), programs={}), machine)
    assert (root / "mine").exists()


def test_launcher_works_through_a_link_and_in_a_moved_folder_with_blanks(tools: Path, tmp_path: Path) -> None:
    root = tmp_path / "a copy"
    (root / "usr" / "lib" / "x86_64-linux-gnu").mkdir(parents=True)
    (root / "program").write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH|$1"\n')
    (root / "program").chmod(0o755)
    write_launchers(root, {"tool": "program"})
    moved = root.rename(tmp_path / "another place")
    (tmp_path / "linked").symlink_to(moved / "launchers" / "tool")
    output = commands.capture([tmp_path / "linked", "two words"], remedy="")
    assert output.split("|")[0].split(":")[0] == str(moved / "usr" / "lib" / "x86_64-linux-gnu")
    assert output.split("|")[1] == "two words\n"


SOURCES = """\
# deb http://old.example/debian bookworm main
deb-src http://archive.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/d.gpg] http://archive.example/debian bookworm main contrib # ours
deb http://archive.example/debian-security bookworm-security main
deb http://vendor.example/linux/debian bookworm stable
deb http://vendor.example/pgdg bookworm-pgdg main
"""

STANZAS = """\
# a comment
Types: deb deb-src
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main non-free
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abcd

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


def test_only_debian_suites_with_main_are_selected(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(SOURCES)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(STANZAS)
    sources = debian_sources(tmp_path, "bookworm")
    assert [(source.uris, source.suites) for source in sources] == [
        ("http://archive.example/debian", ("bookworm",)),
        ("http://archive.example/debian-security", ("bookworm-security",)),
        ("http://archive.example/debian", ("bookworm", "bookworm-updates")),
    ]


def test_another_suite_is_read_from_the_archives_of_the_release(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(SOURCES)

    def suites(suite: str) -> list[tuple[str, tuple[str, ...]]]:
        return [(source.uris, source.suites) for source in debian_sources(tmp_path, "bookworm", suite)]

    archive, security = "http://archive.example/debian", "http://archive.example/debian-security"
    release = [(archive, ("bookworm",)), (security, ("bookworm-security",))]
    assert suites("bookworm-backports") == [*release, (archive, ("bookworm-backports",))]
    assert suites("trixie") == [(archive, ("trixie",))]


def test_group_of_another_suite_does_not_change_the_lists_of_the_release(machine: Path, tools: Path) -> None:
    newer = build_archive(machine / "debian", [build_package(machine, "tool", version="13")], suite="trixie")
    older = build_archive(machine / "debian", [build_package(machine, "tool", version="12")])
    (machine / "apt" / "sources.list").write_text(older)
    assert newer != older
    root = _fetch(PackageGroup(name="newer", packages=("tool",), programs={}, suite="trixie"), machine)
    assert (root / "usr" / "share" / "tool").read_text() == "13"
    root = _fetch(PackageGroup(name="older", packages=("tool",), programs={}), machine)
    assert (root / "usr" / "share" / "tool").read_text() == "12"


def test_trust_fields_are_kept_as_written() -> None:
    (source, *_) = parse_one_line(SOURCES)
    assert source.stanza() == (
        "Types: deb\nURIs: http://archive.example/debian\nSuites: bookworm\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/d.gpg\n"
    )
    (source,) = parse_deb822(STANZAS)
    assert source.stanza().endswith("Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abcd\n")


def test_written_stanza_is_parsed_back_unchanged() -> None:
    (source,) = parse_deb822(STANZAS)
    (again,) = parse_deb822(source.stanza())
    assert again == Source(source.uris, source.suites, ("main",), source.trust)


AVAILABLE = """\
Package: server
Section: net
Size: 10
Depends: libone (>= 1) | libalternative, libllvm14, libbase, absent-everywhere
Pre-Depends: libpre

Package: libone
Section: universe/libs
Size: 20
Depends: libone-loop

Package: libone-loop
Section: libs
Size: 1
Depends: libone

Package: libpre
Section: libs
Size: 5

Package: libllvm14
Section: libs
Size: 1000

Package: libbase
Section: libs
Size: 7

Package: init
Essential: yes
Section: admin
Size: 1
Depends: libbase
"""


def test_libraries_outside_the_base_system_are_included() -> None:
    packages = fetch_list(parse_available(AVAILABLE), ["server"])
    assert [(package.name, package.size) for package in packages] == [
        ("libone", 20),
        ("libone-loop", 1),
        ("libpre", 5),
        ("server", 10),
    ]


def test_fetched_alertmanager_has_no_absolute_template_path() -> None:
    with pytest.raises(SetupError, match="occurs 0 times"):
        patch_template_path(group_root(SERVERS.name) / "usr/bin/prometheus-alertmanager")


@pytest.mark.parametrize("times", [0, 2])
def test_unknown_alertmanager_is_not_patched(tmp_path: Path, times: int) -> None:
    binary = tmp_path / "alertmanager"
    content = b"\0/usr/share/prometheus/alertmanager\0" * times + b"/usr/share/prometheus/alertmanager/ui"
    binary.write_bytes(content)
    with pytest.raises(SetupError, match=f"occurs {times} times"):
        patch_template_path(binary)
    assert binary.read_bytes() == content


def test_patch_keeps_length_and_other_paths(tmp_path: Path) -> None:
    binary = tmp_path / "alertmanager"
    binary.write_bytes(b"a/usr/share/prometheus/alertmanager\0/usr/share/prometheus/alertmanager/ui")
    patch_template_path(binary)
    assert binary.read_bytes() == b"ausr/share/prometheus/alertmanager/\0/usr/share/prometheus/alertmanager/ui"
