"""The virtual environment is created once, updated, and created again after a failure."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tools.toolchain import __main__ as toolchain
from tools.toolchain import bootstrap, commands, stamps
from tools.toolchain.errors import SetupError
from tools.toolchain.paths import ROOT
from tools.toolchain.stamps import digest, is_current, replace_folder, setup_lock

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "example"
version = "1"
[project.scripts]
example = "example:main"
[tool.setuptools]
py-modules = ["example"]
"""


@pytest.fixture(scope="module")
def made_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a project with a complete environment, which needs only its build tool.

    This takes seconds, so the tests of this file share it: each leaves it complete.
    """
    pytest.importorskip("ensurepip", reason="without it, apt would have to fetch pip")
    root = tmp_path_factory.mktemp("bootstrap") / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "example.py").write_text("def main(): print('it runs')\n")
    (root / "requirements.lock").write_text(_pinned("setuptools"))
    with pytest.MonkeyPatch.context() as patch:
        _move_to(root, patch)
        bootstrap.make_python()
    return root


@pytest.fixture
def project(made_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    _move_to(made_project, monkeypatch)
    bootstrap.make_python()
    return made_project


def _pinned(package: str) -> str:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{package}=="))
    end = next(number for number in range(start, len(lines)) if not lines[number].endswith("\\"))
    return "\n".join(lines[start : end + 1]) + "\n"


def _move_to(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", root)
    monkeypatch.setattr(bootstrap, "VENV", root / ".venv")
    monkeypatch.setattr(bootstrap, "_LOCK", root / "requirements.lock")
    monkeypatch.setattr(commands, "LOGS", root / "logs")


def _run_example(root: Path) -> str:
    ran = subprocess.run([root / ".venv" / "bin" / "example"], capture_output=True, text=True, check=True)
    return ran.stdout


def _add_mark(root: Path) -> Path:
    """Create a file in the environment, which disappears if the environment is created again."""
    mark = root / ".venv" / "mark"
    mark.touch()
    return mark


def test_current_environment_is_not_installed_again(project: Path) -> None:
    assert _run_example(project) == "it runs\n"
    log = project / "logs" / "pip.log"
    log.unlink(missing_ok=True)
    bootstrap.make_python()
    assert not log.exists()


def test_changed_lock_renews_the_same_environment(project: Path) -> None:
    mark = _add_mark(project)
    (project / "requirements.lock").write_text(_pinned("setuptools") + "# changed\n")
    (project / "logs" / "pip.log").unlink(missing_ok=True)
    bootstrap.make_python()
    assert mark.exists()
    assert (project / "logs" / "pip.log").exists()


def test_demo_takes_what_is_there_and_the_tests_add_the_rest(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = project / "requirements-demo.lock"
    monkeypatch.setattr(bootstrap, "_DEMO_LOCK", demo)
    demo.write_text(_pinned("setuptools") + "# demo\n")
    log = project / "logs" / "pip.log"
    bootstrap.make_python()
    log.unlink(missing_ok=True)
    bootstrap.make_demo_python()
    assert not log.exists(), "all of it is there"
    (project / "requirements.lock").write_text(_pinned("setuptools") + "# other\n")
    bootstrap.make_demo_python()
    assert log.exists()
    log.unlink()
    bootstrap.make_python()
    assert log.exists(), "the tests need more"


def test_pip_failure_is_reported_in_one_line_and_the_next_run_continues(project: Path) -> None:
    mark = _add_mark(project)
    (project / "requirements.lock").write_text("unpinned\n")
    with pytest.raises(SetupError, match=r"pip failed: ERROR: .*check the network") as caught:
        bootstrap.make_python()
    assert "\n" not in str(caught.value)
    (project / "requirements.lock").write_text(_pinned("setuptools") + "# fixed\n")
    bootstrap.make_python()
    assert mark.exists()


def test_interrupted_environment_is_created_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = _add_mark(project)
    (project / "requirements.lock").write_text(_pinned("setuptools") + "# more\n")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "pip_install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.make_python()
    bootstrap.make_python()
    assert not mark.exists()
    assert _run_example(project) == "it runs\n"


def test_missing_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_LOCK", tmp_path / "requirements.lock")
    with pytest.raises(SetupError, match=r"requirements.lock is missing .*restore it"):
        bootstrap.make_python()


def test_unknown_part_is_a_usage_error() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tools.toolchain", "sewers"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "unknown part sewers; choose from python, servers, wheels, valkey, node" in ran.stderr


def test_setup_continues_without_valkey(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(_: object) -> None:
        raise SetupError("package valkey-server not found in any archive", "here", "add one")

    monkeypatch.setattr(toolchain, "fetch_group", missing)
    toolchain.PARTS["valkey"]()
    error = capsys.readouterr().err
    assert error.startswith(
        "setup: continuing without Valkey, its tests will be skipped: package valkey-server not found"
    )
    with pytest.raises(SetupError):
        toolchain.PARTS["servers"]()


def test_digest_separates_its_inputs(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(file) == digest("a")


def test_incomplete_folder_never_replaces_a_complete_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with replace_folder(folder, "first") as partial:
        (partial / "content").write_text("first")

    def fail() -> None:
        with replace_folder(folder, "second") as partial:
            (partial / "content").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (folder / "content").read_text() == "first"
    assert is_current(folder, "first")
    assert not is_current(folder, "second")

    with replace_folder(folder, "second") as partial:
        assert not (partial / "content").exists()
        (partial / "content").write_text("second")
    assert (folder / "content").read_text() == "second"
    assert is_current(folder, "second")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_second_setup_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "TOOLS", tmp_path)
    events: list[str] = []

    def second() -> None:
        with setup_lock():
            events.append("second")

    with setup_lock():
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)  # time in which the second must not start
        events.append("first")
    thread.join()
    assert events == ["first", "second"]


def test_moved_checkout_gets_a_new_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _add_mark(project)
    moved = shutil.copytree(project, project.with_name("moved here"), symlinks=True)
    _move_to(moved, monkeypatch)
    bootstrap.make_python()
    assert not (moved / ".venv" / "mark").exists()
    # No file may still refer to the old folder.
    shutil.rmtree(project)
    assert _run_example(moved) == "it runs\n"
