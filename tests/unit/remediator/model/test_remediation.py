"""The contract of a remediation."""

from importlib.resources import files
from pathlib import Path

import pytest

from remediator.model.remediation import Undo, UndoWhen
from remediator.remediations import REMEDIATIONS
from runbookd.inventory.remediation_names import REMEDIATION_NAMES
from tests.unit.remediator.folder_remediation import FolderRemediation


def test_every_file_with_a_remediation_is_in_the_map() -> None:
    folder = Path(str(files("remediator.remediations")))
    declared = {file.stem for file in folder.glob("*.py") if "\nREMEDIATION = " in file.read_text(encoding="utf-8")}
    assert declared == REMEDIATION_NAMES, "add its name to runbookd/inventory/remediation_names.py"
    assert {name: each.name for name, each in REMEDIATIONS.items()} == {name: name for name in REMEDIATION_NAMES}


@pytest.mark.parametrize("name", REMEDIATIONS)
def test_every_remediation_says_in_one_sentence_whether_it_can_be_undone(name: str) -> None:
    undo = REMEDIATIONS[name].undo
    assert undo.sentence.endswith(".")
    assert ". " not in undo.sentence


def test_an_end_without_an_exact_undo_is_refused(tmp_path: Path) -> None:
    remediation = FolderRemediation(tmp_path).remediation()
    with pytest.raises(AssertionError, match="needs an exact undo"):
        type(remediation)(**vars(remediation) | {"undo_when": lambda _: UndoWhen(), "undo": Undo("partial", "No.")})
