"""The files of `init` and deploy/, which a test may change."""

import shutil
from pathlib import Path

import pytest

from runbookctl.starter.files import write_set
from tests.rules.rulebook import ROOT
from tests.starter import STARTER, full_texts


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of `init` and deploy/, which fit together."""
    folder = tmp_path_factory.mktemp("written") / "shop"
    write_set(folder, STARTER)
    for name, text in full_texts(Path("/etc/runbookd")).items():
        (folder / name).write_text(text)
    shutil.copy(ROOT / "deploy" / "alertmanager.yml", folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, written: Path) -> Path:
    """Return a copy of the folder, which the test may change."""
    return Path(shutil.copytree(written, tmp_path / "shop"))
