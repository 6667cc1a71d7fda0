"""The packages of a release: the same bytes every time, and commands that need nothing of the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.release.packages import PackageError, build_packages, require_own_modules

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "small"
version = "1"
"""


def make_checkout(folder: Path, umask: int) -> Path:
    before = os.umask(umask)
    try:
        folder.mkdir()
        (folder / "pyproject.toml").write_text(PROJECT)
        (folder / "small.py").write_text("")
        (folder / "ignored.py").write_text("")
        (folder / ".gitignore").write_text("ignored.py\n")
    finally:
        os.umask(before)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


def test_packages_have_the_same_bytes_whatever_the_folder_and_the_umask(tmp_path: Path) -> None:
    built = [
        build_packages(tmp_path / f"dist-{umask}", make_checkout(tmp_path / f"source-{umask}", umask))
        for umask in (0o022, 0o077)
    ]
    assert [file.read_bytes() for file in built[0]] == [file.read_bytes() for file in built[1]]


def test_package_that_cannot_be_built_is_reported_with_its_reason(tmp_path: Path) -> None:
    source = make_checkout(tmp_path / "source", 0o022)
    (source / "pyproject.toml").write_text(PROJECT.replace('"1"', "1"))
    with pytest.raises(PackageError, match=r"project\.version"):
        build_packages(tmp_path / "dist", source)


def test_modules_of_the_checkout_are_not_taken_for_those_of_the_wheel(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="is not from the wheel"):
        require_own_modules(Path(sys.executable), tmp_path)
