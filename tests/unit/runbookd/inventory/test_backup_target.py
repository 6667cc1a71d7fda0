"""A contradictory backup target is refused with the remedy."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbookd.inventory import BackupTarget

FOLDER = {"url": "s3://backups/db/", "pattern": "db_%Y%m%d.dump"}
REPORT = {"report": {"format": "restic", "file": "/var/lib/report.json"}}


@pytest.mark.parametrize(
    "target",
    [
        FOLDER,
        REPORT,
        {**FOLDER, "pattern": "%Y%m%d/"},
        {**FOLDER, "pattern": "latest.dump", "dated_by": "last_modified"},
        {"report": {"format": "pgbackrest", "url": "https://db.example/info.json", "stanza": "main"}},
    ],
)
def test_valid_backup_target_is_accepted(target: dict[str, Any]) -> None:
    BackupTarget.model_validate(target)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({}, "needs url and pattern, or the report of a backup tool"),
        ({"url": "s3://backups/db/"}, "needs url and pattern"),
        ({**FOLDER, **REPORT}, "report replaces url, pattern and dump"),
        ({**REPORT, "dump": {}}, "report replaces url, pattern and dump"),
        ({**REPORT, "kind": "log"}, "for kind log set url and pattern"),
        ({"report": {"format": "restic"}}, "needs one of file, url and url_file"),
        ({"report": {"format": "restic", "file": "/a", "url": "http://a"}}, "needs one of file, url and url_file"),
        ({"report": {"format": "restic", "file": "/a", "stanza": "main"}}, "stanza applies to format pgbackrest only"),
        ({"report": {"format": "restic", "url": "http://h/", "url_file": "/u"}}, "needs one of file, url and url_file"),
        ({**FOLDER, "pattern": "%Y/%m/db.dump"}, "put parent folders into url"),
        ({**FOLDER, "pattern": "latest.dump"}, "set dated_by: last_modified"),
        ({**FOLDER, "pattern": "%Y%m%d/", "dump": {}}, "dump needs a pattern that names one file by its date"),
        ({**FOLDER, "dated_by": "last_modified", "dump": {}}, "dump needs a pattern that names one file by its date"),
    ],
)
def test_contradictory_backup_target_is_refused_with_the_remedy(target: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        BackupTarget.model_validate(target)
