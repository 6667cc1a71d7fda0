"""A contradictory backup target is refused with the remedy."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbookd.inventory import BackupTarget, DumpSource

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


KEY = "age1" + "q" * 58
DRILL = {"dsn_file": "/secret", "postgres": "main", "max_bytes": "1GiB"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"encrypt": {}}, "needs either recipients"),
        ({"encrypt": {"recipients": [KEY], "storage": "AES256"}}, "needs either recipients"),
        ({"encrypt": {"recipients": ["age1short"]}}, "should match pattern"),
        ({"url": "file:///x", "encrypt": {"storage": "AES256"}}, "asks S3 to encrypt"),
        ({"dump": {"command": ["pg_dump", "--schema-only"]}}, "set kind: schema"),
        ({"dump": {"command": ["pg_dump"]}, "kind": "schema"}, "add --schema-only"),
        ({"dump": {"files": "/srv/x", "command": ["cat"]}, "kind": "files"}, "files replaces command"),
        ({"dump": "pg_dump"}, "dictionary"),
        ({"dump": {"files": "/"}, "kind": "files"}, "folder below /"),
        ({"dump": {"files": "uploads"}, "kind": "files"}, "folder below /"),
        ({"drill": DRILL, "kind": "files"}, "kind files is none"),
        ({"drill": {**DRILL, "max_bytes": 0}}, "must be more than 0"),
        ({"drill": {**DRILL, "max_bytes": "many"}}, "max_bytes"),
        ({"drill": {**DRILL, "max_data_age": "1d"}}, "needs newest"),
        ({"drill": {**DRILL, "template": 'x" OWNER y'}}, "should match pattern"),
        ({"drill": {**DRILL, "newest": {"orders": "at"}}}, "should match pattern"),
        ({"drill": {"postgres": "main", "max_bytes": 1}}, "needs dsn or dsn_file"),
        ({"pattern": "line\nbreak_%Y%m%d"}, "control character"),
        ({"retention": {"for": "1h"}}, "at least 1d"),
        ({"retention": {"for": "30d", "keep": 0}}, "greater than or equal to 1"),
        ({"retention": {"for": "30d"}, "dated_by": "last_modified"}, "names with a date"),
        ({"retention": {"for": "30d"}, "pattern": "%Y%m%d/"}, "need a pattern that names files"),
    ],
)
def test_use_that_does_not_fit_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        BackupTarget.model_validate({**FOLDER, **more})
    assert words in str(error.value)


def test_files_are_packed_by_tar_without_a_shell() -> None:
    source = DumpSource.model_validate({"files": "/srv/up loads; rm"})
    assert source.argv[-2:] == ("--directory=/srv/up loads; rm", ".")
