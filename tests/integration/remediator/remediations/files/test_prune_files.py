"""prune_files on real folders: what it deletes, what it leaves, and what it does when the folder changes meanwhile."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from remediator.clients.folder import decode_name, encode_name
from remediator.clients.open_files import OpenFiles, read_open_files
from remediator.model.errors import RunRefused, TargetUnreachable
from remediator.model.remediation import Item, ItemState, Plan, Scope
from remediator.remediations import REMEDIATIONS, prune_files
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("prune_files")
DAY = timedelta(days=1)
GONE = "is gone since it was planned"
CHANGED = "has been written or replaced since it was planned"
ScopeOf = Callable[..., Scope]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def scope(logs: Path, scope_of: ScopeOf) -> ScopeOf:
    def make(**folder: Any) -> Scope:
        settings = {"path": str(logs), "pattern": "*.log*", "older_than": "14d", "keep": 1, **folder}
        return scope_of("folders", stack={"folders": {"logs": settings}}, name="logs", mode="approve")

    return make


def use_sight(monkeypatch: pytest.MonkeyPatch, blind_spot: str | None) -> None:
    def read() -> OpenFiles:
        return replace(read_open_files(), blind_spot=blind_spot)

    monkeypatch.setattr(prune_files, "read_open_files", read)


@pytest.fixture(autouse=True)
def full_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the open files as a remediator that sees all processes; this user may see only its own."""
    use_sight(monkeypatch, None)


def write(file: Path | bytes, age: timedelta = 20 * DAY, size: int = 10) -> Path:
    path = Path(os.fsdecode(file))
    path.write_bytes(b"x" * size)
    then = time.time() - age.total_seconds()
    os.utime(path, (then, then))
    return path


def names(plan: Plan) -> list[str]:
    return [item.evidence["name"] for item in plan.items]


def in_folder(logs: Path) -> set[str]:
    return {path.name for path in logs.iterdir()}


async def test_planned_files_are_deleted_oldest_first_and_verified(logs: Path, scope: ScopeOf) -> None:
    for name, days in [("app.log", 0), ("app.log.1", 15), ("app.log.2.gz", 30), ("app.log.3.gz", 45)]:
        write(logs / name, days * DAY)
    write(logs / "notes.txt", 90 * DAY)
    plan = await STEPS.plan_of(scope())
    assert names(plan) == ["app.log.3.gz", "app.log.2.gz", "app.log.1"]
    assert (plan.found, plan.evidence["bytes"], plan.evidence["left_out"]["newest"]) == (3, 30, 1)
    assert await STEPS.resolve_outcome(scope(), *plan.items) == [ItemState.NOT_APPLIED] * 3
    assert not (await STEPS.verify(scope(), *plan.items)).clean
    outcomes = await STEPS.apply_in_words(scope(), *plan.items)
    assert outcomes == [(ItemState.APPLIED, "deleted")] * 3
    assert in_folder(logs) == {"app.log", "notes.txt"}
    assert (await STEPS.verify(scope(), *plan.items)).clean
    assert await STEPS.resolve_outcome(scope(), *plan.items) == [ItemState.APPLIED] * 3
    assert await STEPS.apply_in_words(scope(), *plan.items) == [(ItemState.SKIPPED, GONE)] * 3


@pytest.mark.parametrize(
    ("folder", "left_out"),
    [
        ({"older_than": "30d"}, "young"),
        ({"keep": 2}, "newest"),
        ({"exclude": ["old*"]}, "excluded"),
    ],
)
async def test_nothing_is_planned_for_files_that_stay(
    logs: Path, scope: ScopeOf, folder: dict[str, Any], left_out: str
) -> None:
    write(logs / "new.log", DAY)
    write(logs / "old.log")
    plan = await STEPS.plan_of(scope(**folder))
    assert (plan.items, plan.found, plan.empty_reason) == ((), 0, "")
    assert plan.evidence["left_out"][left_out] >= 1


@pytest.mark.parametrize("name", ["audit.log.1", "auth.log.1", "app-security.log", "000000010000000000000042.log"])
async def test_evidence_and_wal_stay_by_default(logs: Path, scope: ScopeOf, name: str) -> None:
    write(logs / "app.log", DAY)
    write(logs / name)
    assert (await STEPS.plan_of(scope())).items == ()


@pytest.mark.parametrize(
    "name", ["0000000100000000000000A2", "00000002.history", "dump.rdb", "appendonly.aof.1.base.rdb"]
)
async def test_file_of_a_database_stays_whatever_the_pattern_says(logs: Path, scope: ScopeOf, name: str) -> None:
    write(logs / "newest", DAY)
    write(logs / name)
    plan = await STEPS.plan_of(scope(pattern="*", exclude=[]))
    assert (plan.items, plan.evidence["left_out"]["database_file"]) == ((), 1)


async def test_links_folders_and_pipes_are_left(logs: Path, scope: ScopeOf, tmp_path: Path) -> None:
    precious = write(tmp_path / "precious")
    write(logs / "newest.log", DAY)
    (logs / "symbolic.log").symlink_to(precious)
    (logs / "hard.log").hardlink_to(precious)
    (logs / "folder.log").mkdir()
    os.mkfifo(logs / "pipe.log")
    plan = await STEPS.plan_of(scope())
    assert (plan.items, plan.evidence["left_out"]["no_plain_file"]) == ((), 4)


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe.log", b"two\nlines.log", b"-rf.log", b"$(reboot).log", b"%41.log", "\u202egol.log".encode(), b" .log "],
)
async def test_name_of_any_bytes_is_deleted_exactly(logs: Path, scope: ScopeOf, name: bytes) -> None:
    write(logs / "newest.log", DAY)
    file = write(os.fsencode(logs) + b"/" + name)
    neighbour = write(logs / "A.txt")
    plan = await STEPS.plan_of(scope())
    [item] = plan.items
    assert decode_name(str(item.identity["name"])) == name
    assert encode_name(name).isascii()
    assert str(item.identity["name"]).isprintable()
    assert str(item.evidence["name"]).isprintable()
    assert (await STEPS.apply(scope(), item))[0].state is ItemState.APPLIED
    assert (file.exists(), neighbour.exists()) == (False, True)


@pytest.fixture
async def planned(logs: Path, scope: ScopeOf) -> Item:
    write(logs / "new.log", DAY)
    write(logs / "old.log")
    [item] = (await STEPS.plan_of(scope())).items
    return item


def replace_by_another(file: Path) -> None:
    other = write(file.with_name("other.log"))
    other.replace(file)


def append(file: Path) -> None:
    with file.open("a") as stream:
        stream.write("more")


def swap_for_link(file: Path) -> None:
    target = write(file.with_name("precious"))
    file.unlink()
    file.symlink_to(target)


def exchange(folder: Path) -> None:
    folder.rename(folder.with_name("former"))
    folder.mkdir()
    write(folder / "old.log")


def state_of(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_ino, status.st_size


def make_data_directory(folder: Path, inner: str) -> Path:
    (folder / "PG_VERSION").write_text("17\n")
    (folder / inner).mkdir(parents=True, exist_ok=True)
    return folder / inner


@contextmanager
def held(file: Path) -> Iterator[None]:
    with file.open("rb"):
        yield


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (append, CHANGED),
        (replace_by_another, CHANGED),
        (swap_for_link, CHANGED),
        (lambda file: file.with_name("second.log").hardlink_to(file), CHANGED),
        (Path.unlink, GONE),
    ],
)
async def test_file_that_changed_since_the_plan_is_skipped(
    logs: Path, scope: ScopeOf, planned: Item, change: Callable[[Path], None], reason: str
) -> None:
    change(logs / "old.log")
    before = in_folder(logs)
    assert await STEPS.apply_in_words(scope(), planned) == [(ItemState.SKIPPED, reason)]
    assert in_folder(logs) == before


async def test_other_folder_at_the_same_path_is_not_touched(logs: Path, scope: ScopeOf, planned: Item) -> None:
    exchange(logs)
    [outcome] = await STEPS.apply(scope(), planned)
    assert (outcome.state, outcome.detail) == (
        ItemState.SKIPPED,
        "another folder has taken the place of the planned one",
    )
    assert await STEPS.resolve_outcome(scope(), planned) == [ItemState.UNKNOWN]
    assert in_folder(logs) == {"old.log"}


async def test_file_that_takes_the_name_in_between_is_put_back(
    logs: Path, scope: ScopeOf, planned: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation may rename another file to the planned name right before the rename."""
    folder_type = prune_files.Folder
    rename = folder_type.rename

    def race(self: Any, name: bytes, new: bytes) -> None:
        replace_by_another(logs / "old.log")
        rename(self, name, new)

    monkeypatch.setattr(folder_type, "rename", race)
    assert await STEPS.apply_in_words(scope(), planned) == [(ItemState.SKIPPED, CHANGED)]
    assert in_folder(logs) == {"new.log", "old.log"}


async def test_crash_between_the_two_steps_is_looked_up_and_pruned_by_the_next_run(
    logs: Path, scope: ScopeOf, planned: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prune_files.Folder, "delete", crash)
    with pytest.raises(KeyboardInterrupt):
        await STEPS.apply(scope(), planned)
    monkeypatch.undo()
    assert len(in_folder(logs)) == 2
    assert await STEPS.resolve_outcome(scope(), planned) == [ItemState.NOT_APPLIED]
    [leftover] = (await STEPS.plan_of(scope(open_files="unchecked"))).items
    assert str(leftover.identity["name"]).startswith(".runbookd-prune-")
    assert await STEPS.apply_in_words(scope(), leftover) == [(ItemState.APPLIED, "deleted")]
    assert in_folder(logs) == {"new.log"}


@pytest.fixture
def opened(logs: Path) -> Iterator[Path]:
    write(logs / "new.log", DAY)
    file = write(logs / "held.log")
    with held(file):
        yield file


async def test_open_file_is_left(opened: Path, scope: ScopeOf) -> None:
    plan = await STEPS.plan_of(scope())
    assert (plan.items, plan.evidence["left_out"]["open"]) == ((), 1)


async def test_file_opened_since_the_plan_is_skipped(logs: Path, scope: ScopeOf, planned: Item) -> None:
    with held(logs / "old.log"):
        assert await STEPS.apply_in_words(scope(), planned) == [(ItemState.SKIPPED, "a process has opened it")]
    assert "old.log" in in_folder(logs)


async def test_open_file_is_emptied_where_the_inventory_says_so(opened: Path, scope: ScopeOf) -> None:
    truncating = scope(open_files="truncate")
    [item] = (await STEPS.plan_of(truncating)).items
    inode, _ = state_of(opened)
    assert item.evidence["act"] == "truncate"
    assert await STEPS.resolve_outcome(truncating, item) == [ItemState.NOT_APPLIED]
    assert await STEPS.apply_in_words(truncating, item) == [(ItemState.APPLIED, "emptied; a process has it open")]
    assert state_of(opened) == (inode, 0)
    assert (await STEPS.verify(truncating, item)).clean
    assert await STEPS.apply_in_words(truncating, item) == [(ItemState.SKIPPED, CHANGED)]
    assert (await STEPS.plan_of(truncating)).items == ()


async def test_open_file_that_grew_before_a_crash_counts_as_not_emptied(opened: Path, scope: ScopeOf) -> None:
    truncating = scope(open_files="truncate")
    [item] = (await STEPS.plan_of(truncating)).items
    append(opened)
    assert await STEPS.resolve_outcome(truncating, item) == [ItemState.NOT_APPLIED]
    assert not (await STEPS.verify(truncating, item)).clean


async def test_hidden_processes_refuse_the_run_or_leave_what_is_younger_than_a_day(
    logs: Path, scope: ScopeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sight(monkeypatch, "7 processes of other users hide their open files")
    for name, hours in [("new.log", 1), ("young.log", 23), ("old.log", 25)]:
        write(logs / name, timedelta(hours=hours))
    with pytest.raises(RunRefused, match="7 processes of other users hide their open files") as refusal:
        await STEPS.plan_of(scope(older_than="2h"))
    assert refusal.value.reason == "open_files_hidden"
    plan = await STEPS.plan_of(scope(older_than="2h", open_files="unchecked"))
    assert (names(plan), plan.evidence["left_out"]["perhaps_open"]) == (["old.log"], 1)


async def test_run_takes_the_oldest_files_up_to_the_size(logs: Path, scope: ScopeOf) -> None:
    write(logs / "new.log", DAY)
    for days in (20, 21, 22):
        write(logs / f"{days}.log", days * DAY, size=400)
    plan = await STEPS.plan_of(scope(max_bytes="1KiB"))
    assert (names(plan), plan.found, plan.evidence["left_out"]["over_max_bytes"]) == (["22.log", "21.log"], 3, 1)
    plan = await STEPS.plan_of(scope(max_bytes=100))
    assert (plan.items, plan.found, plan.empty_reason) == ((), 0, "too_large")


@pytest.mark.parametrize("inner", ["", "pg_wal", "base/1"])
async def test_data_directory_of_postgresql_is_refused(logs: Path, scope: ScopeOf, inner: str) -> None:
    folder = make_data_directory(logs, inner)
    with pytest.raises(RunRefused, match="is a data directory of PostgreSQL"):
        await STEPS.plan_of(scope(path=str(folder)))


async def test_log_of_postgresql_may_be_pruned(logs: Path, scope: ScopeOf) -> None:
    folder = make_data_directory(logs, "log")
    write(folder / "new.log", DAY)
    write(folder / "old.log")
    assert names(await STEPS.plan_of(scope(path=str(folder)))) == ["old.log"]


async def test_missing_right_fails_with_the_remedy(
    logs: Path, scope: ScopeOf, planned: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(prune_files.Folder, "rename", refuse)  # the tests may run as root, who has every right
    [(state, detail)] = await STEPS.apply_in_words(scope(), planned)
    assert state is ItemState.FAILED
    assert detail.startswith("Permission denied; give the remediator's user the right to write into")
    assert "old.log" in in_folder(logs)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda logs: logs.rmdir(), "No such file or directory"),
        (lambda logs: (logs.rmdir(), logs.write_text("")), "is no folder"),
        (lambda logs: (logs.rename(logs.with_name("x")), logs.symlink_to(logs.with_name("x"))), "is a symbolic link"),
    ],
)
async def test_unusable_folder_is_named(
    logs: Path, scope: ScopeOf, break_it: Callable[[Path], object], words: str
) -> None:
    break_it(logs)
    with pytest.raises(TargetUnreachable, match=words):
        await STEPS.plan_of(scope())


async def test_link_above_the_folder_is_refused(logs: Path, scope: ScopeOf) -> None:
    make_data_directory(logs, "inner")
    logs.with_name("link").symlink_to(logs)
    with pytest.raises(TargetUnreachable, match=r"link is a symbolic link; write the real path"):
        await STEPS.plan_of(scope(path=str(logs.with_name("link") / "inner")))


def test_user_without_rights_does_not_see_the_files_of_others() -> None:
    own = os.geteuid()
    if own == 0:
        os.seteuid(65_534)
    try:
        read = read_open_files()
    finally:
        os.seteuid(own)
    assert "hide their open files" in cast(str, read.blind_spot)


def test_remediation_is_refused_in_mode_auto() -> None:
    assert REMEDIATIONS["prune_files"].never_auto


async def test_command_of_the_permanent_fix_deletes_what_a_run_would(logs: Path, scope: ScopeOf) -> None:
    for name, days in [("app.log", 0), ("-rf.log", 15), ("it's.log", 30), ("two\nlines.log", 45), ("audit.log", 60)]:
        write(logs / name, days * DAY)
    write(logs / "notes.txt", 90 * DAY)
    made = scope(keep=2)
    plan = await STEPS.plan_of(made)
    assert plan.found == 2
    command = ["bash", "-ec", STEPS.fix_of(made, *plan.items).snippet]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=120)
    assert in_folder(logs) == {"app.log", "-rf.log", "audit.log", "notes.txt"}
    assert (await STEPS.plan_of(made)).found == 0
