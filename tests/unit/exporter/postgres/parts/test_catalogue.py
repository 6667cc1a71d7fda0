"""The parts and columns that each server version is queried for, from the declarations alone."""

import pytest

from exporter.postgres.collector import PostgresCollector
from exporter.postgres.parts.catalogue import BACKGROUND_PARTS, SCRAPE_PARTS
from exporter.postgres.parts.joined_statement import SHARED, Statement
from exporter.postgres.parts.part import sql_for
from exporter.postgres.parts.server import EXTENSION_VERSIONS, VERSIONS, ServerInfo

# The version of pg_stat_statements in each version of PostgreSQL.
EXTENSIONS = dict(zip(VERSIONS, (108, 109, 110, 110, 111, 112), strict=True))
ALL = (*SCRAPE_PARTS, *BACKGROUND_PARTS)


def server(version: int, **changed: object) -> ServerInfo:
    return ServerInfo(**{"version": version, "extension": EXTENSIONS.get(version, 113), "schema": "public", **changed})


def names(statement: Statement) -> set[str]:
    return {metric.name for metrics in statement.metrics for metric in metrics}


def has(version: int, name: str) -> bool:
    both = [server(version, recovery=recovery) for recovery in (False, True)]
    return any(name in names(Statement.of(ALL, each)) for each in both)


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("pg_stat_database_sessions_total", range(14, 19)),
        ("pg_stat_wal_records_total", range(14, 19)),
        ("pg_stat_wal_write_total", range(14, 18)),
        ("pg_stat_io_reads_total", range(16, 19)),
        ("pg_settings_reserved_connections", range(16, 19)),
        ("pg_replication_slot_conflicting", range(16, 19)),
        ("pg_replication_slot_inactive_since_timestamp_seconds", range(17, 19)),
        ("pg_stat_bgwriter_buffers_backend_total", range(13, 17)),
        ("pg_stat_checkpointer_num_timed_total", range(13, 19)),
        ("pg_stat_statements_dealloc_total", range(14, 19)),
        ("pg_blocked_max_age_seconds", range(13, 19)),
    ],
)
def test_metric_exists_in_its_versions_only(name: str, versions: range) -> None:
    assert [version for version in VERSIONS if has(version, name)] == list(versions)


@pytest.mark.parametrize(
    ("version", "present", "absent"),
    [
        (13, "s.query_start", "l.waitstart"),
        (14, "l.waitstart", "s.query_start), 0)) FILTER (WHERE true)"),
        (16, "b.checkpoints_timed", "pg_stat_checkpointer AS"),
        (17, "c.num_timed", "checkpoints_timed"),
        (16, "blk_read_time AS read_time", "shared_blk_read_time"),
        (17, "shared_blk_read_time AS read_time", " blk_read_time"),
        (18, "wal_buffers_full", "wal_write_time"),
        (18, "confl_update_missing", "sync_table_error_count"),
        (19, "sync_table_error_count", "wal_write_time"),
    ],
)
def test_statement_uses_the_columns_of_the_version(version: int, present: str, absent: str) -> None:
    text = Statement.of(ALL, server(version)).text
    assert present in text
    assert absent not in text


def test_statement_for_a_standby_avoids_functions_that_fail_there() -> None:
    text = Statement.of(SCRAPE_PARTS, server(15, recovery=True)).text
    assert "pg_is_wal_replay_paused" in text
    assert "pg_is_wal_replay_paused" not in Statement.of(SCRAPE_PARTS, server(15)).text
    for place in text.split("pg_current_wal_lsn()")[:-1]:  # only where it is not evaluated
        assert place.endswith("ELSE ")


def test_parts_without_their_right_or_extension_are_omitted() -> None:
    blind, plain = Statement.of(ALL, server(15, sees_sessions=False)), Statement.of(ALL, server(15, extension=None))
    assert not {"pg_connections", "pg_sessions_blocked", "pg_stat_statements_calls_total"} & names(blind)
    assert "pg_stat_database_xact_commit_total" in names(blind)
    assert "pg_stat_statements" not in plain.text.replace("'pg_stat_statements'", "")


def test_every_shared_row_source_is_used_and_read_once() -> None:
    text = Statement.of(ALL, server(15)).text
    assert {name for part in ALL for name in part.reads} == set(SHARED)
    assert text.count("pg_stat_get_activity(NULL)") == text.count("pg_lock_status()") == 1
    assert text.count("pg_stat_statements(false)") == 1


def test_extension_is_qualified_with_its_schema() -> None:
    assert '"My ext".pg_stat_statements(false)' in Statement.of(SCRAPE_PARTS, server(15, schema='"My ext"')).text


def test_part_and_metric_names_are_unique() -> None:
    parts = [part.name for part in ALL]
    metrics = [metric.name for part in ALL for metric in part.metrics]
    assert len(set(parts)) == len(parts)
    assert len(set(metrics)) == len(metrics)
    assert all(part.source for part in ALL)
    assert all(metric.help.endswith(" Cached.") == part.cached for part in ALL for metric in part.metrics)


def test_metric_names_the_versions_that_have_it() -> None:
    since = {metric.name: metric.since for metric in PostgresCollector.metrics}
    assert since["pg_stat_database_blks_hit_total"] == ""
    assert since["pg_stat_io_reads_total"] == "16 or newer"
    assert since["pg_stat_wal_write_total"] == "14 to 17"
    assert since["pg_stat_statements_calls_total"] == "pg_stat_statements"
    assert since["pg_stat_statements_dealloc_total"] == "pg_stat_statements 1.9 or newer"


def test_sql_for_returns_the_newest_text_up_to_the_version() -> None:
    sql = {14: "a", 16: "b", 18: ""}
    assert [sql_for(sql, version) for version in VERSIONS] == ["", "a", "a", "b", "b", ""]
    assert {sql_for("x", version) for version in EXTENSION_VERSIONS} == {"x"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (["150020", "false", "true", "1.10", "public"], ServerInfo(15, extension=110, schema="public")),
        (["180000", "true", "false", None, None], ServerInfo(18, recovery=True, sees_sessions=False)),
        (["130004", "false", "true", "1.8", '"a b"'], ServerInfo(13, extension=108, schema='"a b"')),
    ],
)
def test_server_info_is_parsed_from_the_facts(facts: list[str | None], expected: ServerInfo) -> None:
    assert ServerInfo.of(facts) == expected
