"""Reports of backup tools, in the formats of pgBackRest 2.5x, WAL-G 3 and restic 0.17."""

import json
from typing import Any

import pytest

from exporter.backups.contents import IncompleteReason
from exporter.backups.folder import Listing
from exporter.backups.reports import FORMATS, Chosen, ReportError

NOW = 1_800_000_000.0
DAY = 86_400


def read(kind: str, document: Any, stanza: str | None = None) -> Listing:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return FORMATS[kind](text, stanza, NOW, NOW - 60)


def backup(label: str, stop: float, size: int, stored: int, **more: Any) -> dict[str, Any]:
    return {
        "archive": {"start": "000000010000000000000005", "stop": "000000010000000000000005"},
        "backrest": {"format": 5, "version": "2.54.0"},
        "database": {"id": 1, "repo-key": 1},
        "error": False,
        "info": {"delta": stored * 2, "repository": {"delta": stored}, "size": size},
        "label": label,
        "lsn": {"start": "0/5000028", "stop": "0/5000138"},
        "prior": None,
        "reference": None,
        "timestamp": {"start": int(stop) - 30, "stop": int(stop)},
        "type": "full",
        **more,
    }


def stanza(
    *backups: Any, name: str = "main", code: int = 0, held: bool = False, cipher: str = "none"
) -> dict[str, Any]:
    return {
        "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "16-1", "max": None, "min": None}],
        "backup": list(backups),
        "cipher": cipher,
        "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "16"}],
        "name": name,
        "repo": [{"cipher": cipher, "key": 1, "status": {"code": code, "message": "ok"}}],
        "status": {"code": code, "lock": {"backup": {"held": held}}, "message": "ok" if code == 0 else "missing data"},
    }


def snapshot(name: str, time: str, summary: dict[str, Any] | None = None) -> dict[str, Any]:
    plain = {"time": time, "tree": "ab" * 32, "paths": ["/srv"], "hostname": "app", "username": "root", "id": name}
    return {**plain, "short_id": name[:8], **({"summary": summary} if summary else {})}


def walg(name: str, finish: str, **more: Any) -> dict[str, Any]:
    return {
        "backup_name": name,
        "time": "2026-11-20T02:20:00Z",
        "wal_file_name": "000000010000000000000005",
        "storage_name": "default",
        "start_time": "2026-11-20T02:00:00.000001Z",
        "finish_time": finish,
        "date_fmt": "%Y-%m-%dT%H:%M:%S.%fZ",
        "hostname": "db",
        "data_dir": "/var/lib/postgresql/16/main",
        "pg_version": 160004,
        "start_lsn": 83886120,
        "finish_lsn": 83886392,
        "is_permanent": False,
        "system_identifier": 7,
        "uncompressed_size": 5000,
        "compressed_size": 1200,
        **more,
    }


def test_pgbackrest_report_has_end_dates_sizes_and_encryption() -> None:
    increment = backup("20270114-080000F_20270115-070000I", NOW - 3600, 1010, 5, type="incr")
    found = read(
        "pgbackrest", [stanza(backup("20270114-080000F", NOW - DAY, 1000, 300), increment, cipher="aes-256-cbc")]
    )
    newest, oldest = found.recent.backups
    assert (newest.made_at, newest.size) == (NOW - 3600, 1010)
    assert oldest.size == 1000
    assert (found.count, found.size, found.oldest_at) == (2, 305, NOW - DAY)
    assert found.encrypted is True
    assert found.checked_at == NOW - 60
    assert set(found.recent.incomplete_counts().values()) == {0}


def test_running_or_damaged_backup_is_incomplete() -> None:
    whole = backup("20270114-080000F", NOW - DAY, 1000, 300)
    damaged = backup("20270115-070000F", NOW - 3600, 1000, 300, error=True)
    found = read("pgbackrest", [stanza(whole, damaged, held=True)])
    assert [each.name for each in found.recent.backups] == ["20270114-080000F"]
    assert {why for why, number in found.recent.incomplete_counts().items() if number} == {
        IncompleteReason.DAMAGED,
        IncompleteReason.UPLOADING,
    }
    assert found.encrypted is False


def test_stanza_without_backups_is_empty_and_a_broken_one_is_an_error() -> None:
    found = read("pgbackrest", [stanza(code=2)])
    assert (found.count, found.oldest_at) == (0, None)
    with pytest.raises(ReportError, match="pgBackRest reports for the stanza main: missing data"):
        read("pgbackrest", [stanza(backup("20270114-080000F", NOW - DAY, 1, 1), code=3)])


def test_report_with_several_stanzas_needs_a_stanza_name() -> None:
    two = [stanza(name="one"), stanza(backup("20270114-080000F", NOW - DAY, 1, 1), name="two")]
    assert read("pgbackrest", two, "two").count == 1
    for wrong in (None, "three"):
        with pytest.raises(ReportError, match="set it to one of those in the report: one, two"):
            read("pgbackrest", two, wrong)


def test_mixed_encryption_counts_as_unencrypted() -> None:
    assert read("pgbackrest", [stanza(cipher="mixed")]).encrypted is False


def test_walg_report_is_read_with_and_without_details() -> None:
    found = read("walg", [walg("base_5", "2026-11-20T02:15:00.5Z"), walg("base_6", "2026-11-21T02:15:00.5Z")])
    assert [each.name for each in found.recent.backups] == ["base_6", "base_5"]
    assert (found.recent.backups[0].size, found.size, found.encrypted) == (5000, 2400, None)
    plain = {"backup_name": "base_5", "time": "2026-11-20T02:20:00Z", "wal_file_name": "0", "storage_name": "default"}
    [plain_backup] = read("walg", [plain]).recent.backups
    assert plain_backup.size is None
    older = {
        "backup_name": "base_5",
        "creation_time": "2026-11-20T02:00:00Z",
        "modification_time": "2026-11-20T02:20:00Z",
    }
    assert read("walg", [older]).recent.backups[0].made_at == plain_backup.made_at


def test_restic_report_is_read_with_and_without_statistics() -> None:
    summary = {
        "backup_start": "2026-11-20T02:00:00.123456789+01:00",
        "backup_end": "2026-11-20T02:10:00+01:00",
        "files_new": 1,
        "data_added": 400,
        "data_added_packed": 100,
        "total_files_processed": 9,
        "total_bytes_processed": 8000,
    }
    times = "2026-11-19T02:00:00.123456789+01:00", "2026-11-20T02:00:00.123456789+01:00"
    found = read("restic", [snapshot("a" * 64, times[0]), snapshot("b" * 64, times[1], summary)])
    newest, older = found.recent.backups
    assert newest.made_at == 1_795_137_000  # 01:10 UTC
    assert (newest.size, older.size, found.size, found.encrypted) == (8000, None, None, True)


@pytest.mark.parametrize("kind", ["walg", "restic"])
def test_empty_list_and_null_have_no_backups(kind: str) -> None:
    assert read(kind, []).count == read(kind, None).count == 0


@pytest.mark.parametrize("kind", FORMATS)
def test_backup_with_a_future_date_is_incomplete(kind: str) -> None:
    documents = {
        "pgbackrest": [stanza(backup("20270116-080000F", NOW + DAY, 1, 1))],
        "walg": [walg("base_5", "2027-01-16T08:00:00Z")],
        "restic": [snapshot("a" * 64, "2027-01-16T08:00:00Z")],
    }
    found = read(kind, documents[kind])
    assert found.count == 0
    assert found.recent.incomplete_counts()[IncompleteReason.FUTURE] == 1


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "text", [b"", b"{", b"hunter2", b"hunter2\xe9", b'{"password": "hunter2"}', b'[{"password": "hunter2"}]']
)
def test_invalid_report_is_an_error_on_one_line_without_its_content(kind: str, text: bytes) -> None:
    with pytest.raises(ReportError) as caught:
        read(kind, text)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def two_repositories(**more: Any) -> list[dict[str, Any]]:
    second = {"database": {"id": 1, "repo-key": 2}}
    document = stanza(
        backup("20270115-020000F", NOW - 3600, 1000, 50), backup("20261206-020000F", NOW - 40 * DAY, 900, 40, **second)
    )
    fine = {"code": 0, "message": "ok"}
    document["repo"] = [
        {"cipher": "none", "key": 1, "status": fine},
        {"cipher": "aes-256-cbc", "key": 2, "status": fine},
    ]
    return [document | more]


def test_stale_repository_is_not_hidden_by_a_fresh_one() -> None:
    listing = read("pgbackrest", two_repositories())
    assert [each.name for each in listing.recent.backups] == ["20261206-020000F"]
    assert (listing.count, listing.encrypted) == (1, True)


def test_repository_without_any_backup_counts_before_all_others() -> None:
    [document] = two_repositories()
    document["repo"].append({"cipher": "none", "key": 3, "status": {"code": 2, "message": "no valid backups"}})
    document["status"] = {"code": 4, "message": "different across repos"}
    assert read("pgbackrest", [document]).count == 0


def test_key_chooses_the_repository() -> None:
    content = json.dumps(two_repositories(status={"code": 4, "message": "different across repos"})).encode()
    listing = FORMATS["pgbackrest"](content, None, NOW, NOW, Chosen(repository=1))
    assert [each.name for each in listing.recent.backups] == ["20270115-020000F"]
    with pytest.raises(ReportError, match="repository: set it to one of those in the report: 1, 2"):
        FORMATS["pgbackrest"](content, None, NOW, NOW, Chosen(repository=7))


def test_stale_host_is_not_hidden_and_keys_choose_host_and_tag() -> None:
    snapshots = [
        snapshot("a" * 64, "2027-01-15T07:00:00Z") | {"hostname": "app", "tags": ["db"]},
        snapshot("b" * 64, "2026-12-01T07:00:00Z") | {"hostname": "db", "tags": None},
    ]
    content = json.dumps(snapshots).encode()
    newest = {
        chosen: FORMATS["restic"](content, None, NOW, NOW, chosen).recent.backups[0].name[0]
        for chosen in (Chosen(), Chosen(host="app"), Chosen(tag="db"))
    }
    assert newest == {Chosen(): "b", Chosen(host="app"): "a", Chosen(tag="db"): "a"}
    assert FORMATS["restic"](content, None, NOW, NOW, Chosen(host="gone")).count == 0


def test_report_without_sizes_has_no_total() -> None:
    assert read("restic", [snapshot("a" * 64, "2027-01-15T07:00:00Z")]).size is None
    assert read("walg", [walg("base", "2027-01-15T07:00:00Z") | {"compressed_size": None}]).size is None
    assert read("restic", []).size == 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_report_written_on_windows_is_read(encoding: str) -> None:
    document = json.dumps([snapshot("a" * 64, "2027-01-15T07:00:00Z")])
    assert read("restic", document.encode(encoding)).count == 1
