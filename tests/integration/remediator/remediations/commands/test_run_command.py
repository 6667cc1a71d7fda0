"""Commands of the inventory on real processes."""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.remediation import ItemState
from remediator.remediations import REMEDIATIONS
from tests.integration.remediator.remediations.commands.conftest import EntryOf

Script = Callable[..., str]
NUMBER = {"limit": {"type": "int", "min": 1, "max": 500}}


@pytest.fixture
def flag(tmp_path: Path, script: Script) -> dict[str, Any]:
    """Make a maintenance mode: a file that exists while it is on."""
    file = tmp_path / "on"
    return {
        "argv": [script(f"touch {file}; echo switched on", "switch_on")],
        "check": [script(f"test -e {file}", "is_on")],
        "undo": [script(f"rm {file}", "switch_off")],
        "timeout": "5s",
    }


async def test_command_is_run_and_proven_by_its_check(flag, tmp_path: Path, entry_of: EntryOf) -> None:
    entry = entry_of(flag)
    plan = await entry.plan()
    assert plan.items[0].evidence["argv"] == flag["argv"]
    assert plan.items[0].evidence["undo"] == flag["undo"]
    assert (await entry.verify(plan.items)).clean is False
    outcome = await entry.apply(plan.items)
    assert (outcome.state, outcome.detail) == (ItemState.APPLIED, "ended with 0; it wrote:\nswitched on")
    assert (tmp_path / "on").exists()
    assert (await entry.verify(plan.items)).clean


async def test_nothing_is_to_be_done_if_the_check_finds_it_as_wanted(flag, tmp_path: Path, entry_of: EntryOf) -> None:
    (tmp_path / "on").touch()
    plan = await entry_of(flag).plan()
    assert (plan.items, plan.found, plan.evidence) == ((), 0, {"check": "as wanted"})


async def test_command_is_skipped_if_it_is_done_since_the_plan(flag, tmp_path: Path, entry_of: EntryOf) -> None:
    items = (await entry_of(flag).plan()).items
    (tmp_path / "on").touch()
    assert (await entry_of(flag).apply(items)).state is ItemState.SKIPPED


@pytest.mark.parametrize("change", ["argv", "program"])
async def test_command_that_changed_since_the_plan_is_skipped(
    flag, change: str, tmp_path: Path, script: Script, entry_of: EntryOf
) -> None:
    items = (await entry_of(flag).plan()).items
    if change == "argv":
        flag["argv"] = [*flag["argv"], "--more"]
    else:
        script(f"rm -rf {tmp_path}", "switch_on")
    assert (await entry_of(flag).apply(items)).state is ItemState.SKIPPED
    assert not (tmp_path / "on").exists()


async def test_undo_restores_what_was_there_before(flag, tmp_path: Path, entry_of: EntryOf) -> None:
    items = (await entry_of(flag).plan()).items
    await entry_of(flag).apply(items)
    undo = entry_of(flag).undoing(*items)
    undo_items = (await undo.plan()).items
    assert undo_items[0].evidence["argv"] == flag["undo"]
    assert (await undo.verify(undo_items)).clean is False
    assert (await undo.apply(undo_items)).state is ItemState.APPLIED
    assert not (tmp_path / "on").exists()
    assert (await undo.verify(undo_items)).clean
    assert (await undo.look_up(undo_items)).state is ItemState.APPLIED
    assert (await undo.plan()).items == ()


async def test_undo_gets_the_values_of_the_run_it_undoes(tmp_path: Path, script: Script, entry_of: EntryOf) -> None:
    log = tmp_path / "log"
    settings = {
        "argv": [script(f'echo "$@" >> {log}'), "raise", "{limit}", "{lasting}"],
        "undo": [script(f'echo "$@" >> {log}', "undo"), "lower", "{limit}", "{lasting}"],
        "parameters": {**NUMBER, "lasting": {"type": "duration", "default": "1h30m"}},
        "for": "1h",
    }
    raised = entry_of(settings).started_with(limit=200)
    items = (await raised.plan()).items
    assert items[0].evidence["ends_after"] == "1h"
    await raised.apply(items)
    await entry_of(settings).undoing(*items).do()
    assert log.read_text() == "raise 200 5400\nlower 200 5400\n"


@pytest.mark.parametrize(("begun", "state"), [(False, ItemState.NOT_APPLIED), (True, ItemState.APPLIED)])
async def test_check_tells_the_outcome_after_a_crash(
    flag, begun: bool, state: ItemState, tmp_path: Path, entry_of: EntryOf
) -> None:
    items = (await entry_of(flag).plan()).items
    if begun:
        (tmp_path / "on").touch()
    assert (await entry_of(flag).look_up(items)).state is state


async def test_outcome_after_a_crash_is_unknown_without_a_check(flag, entry_of: EntryOf) -> None:
    del flag["check"]
    items = (await entry_of(flag).plan()).items
    assert (await entry_of(flag).look_up(items)).state is ItemState.UNKNOWN
    assert (await entry_of(flag).verify(items)).evidence == {"check": ["none: only its own answer is known"]}


async def test_time_out_ends_the_whole_process_group(tmp_path: Path, script: Script, entry_of: EntryOf) -> None:
    stubborn = script(f"trap '' TERM; sleep 300 & echo $! > {tmp_path}/pid; wait; wait")
    start = time.monotonic()
    outcome = await entry_of({"argv": [stubborn], "timeout": "1s"}).do()
    assert outcome.state is ItemState.UNKNOWN
    assert outcome.detail.startswith("took longer than 1s")
    assert time.monotonic() - start < 20
    await wait_for_end(int((tmp_path / "pid").read_text()))


async def wait_for_end(pid: int) -> None:
    for _ in range(1000):
        if not is_alive(pid):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"process {pid} is still running")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_time_out_of_a_command_with_a_check_is_judged_by_it(flag, tmp_path, script, entry_of: EntryOf) -> None:
    slow = {**flag, "timeout": "1s"}
    slow["argv"] = [script("sleep 300", "slow")]
    assert (await entry_of(slow).do()).state is ItemState.FAILED
    slow["argv"] = [script(f"touch {tmp_path}/on; sleep 300", "slow_after_all")]
    assert (await entry_of(slow).do()).state is ItemState.APPLIED


async def test_command_that_forks_away_ends_at_once(tmp_path: Path, script: Script, entry_of: EntryOf) -> None:
    forking = script(f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 300' & sleep 0.2; echo started")
    start = time.monotonic()
    outcome = await entry_of({"argv": [forking]}).do()
    assert (outcome.state, outcome.detail) == (ItemState.APPLIED, "ended with 0; it wrote:\nstarted")
    assert time.monotonic() - start < 20
    os.kill(int((tmp_path / "pid").read_text()), 9)


async def test_process_left_behind_is_ended_and_named(script: Script, entry_of: EntryOf) -> None:
    outcome = await entry_of({"argv": [script("sleep 300 &")]}).do()
    assert outcome.detail == "ended with 0; it left processes behind, which were ended"


async def test_failing_command_is_named_with_what_it_wrote(script: Script, entry_of: EntryOf) -> None:
    outcome = await entry_of({"argv": [script("echo no such limit >&2; exit 3")]}).do()
    assert (outcome.state, outcome.detail) == (ItemState.FAILED, "ended with 3; it wrote:\nno such limit")


async def test_command_ended_by_a_signal_is_unknown(script: Script, entry_of: EntryOf) -> None:
    assert (await entry_of({"argv": [script("kill -9 $$")]}).do()).state is ItemState.UNKNOWN


async def test_check_that_cannot_tell_stops_before_anything_is_done(flag, script, tmp_path, entry_of: EntryOf) -> None:
    items = (await entry_of(flag).plan()).items
    for text, reason in (("exit 2", "ended with 2"), ("sleep 300", "takes longer"), ("kill -9 $$", "killed by")):
        flag["check"] = [script(text, "is_on")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("remediator.remediations.run_command.CHECK_SECONDS", 0.5)
            with pytest.raises(TargetUnreachable, match=f"shop/commands/flag: its check .*{reason}"):
                await entry_of(flag).plan()
            outcome = await entry_of(flag).apply(items)
        assert outcome.state is ItemState.FAILED
        assert outcome.detail.endswith("nothing was done")
    assert not (tmp_path / "on").exists()


async def test_output_is_cut_and_masked(script: Script, entry_of: EntryOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_KEY", "s3cret-of-the-platform")
    text = "yes filler | head -c 100002; echo key $DEPLOY_KEY; printf 'mail ann@shop.example \\033[31mred\\n'"
    outcome = await entry_of({"argv": [script(text)], "environment": ["DEPLOY_KEY"]}).do()
    assert outcome.detail.endswith("filler\nkey ***\nmail <email> \ufffd[31mred")
    assert len(outcome.detail) < 17_000


async def test_environment_holds_nothing_but_what_is_listed(script, entry_of: EntryOf, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db/shop")
    monkeypatch.setenv("REGION", "eu")
    outcome = await entry_of({"argv": ["/usr/bin/env"], "environment": ["REGION"]}).do()
    names = {line.partition("=")[0] for line in outcome.detail.splitlines()[1:]}
    assert names == {"PATH", "LC_ALL", "REGION"}


async def test_variable_that_is_not_set_is_named(entry_of: EntryOf) -> None:
    with pytest.raises(TargetUnreachable, match="the remediator has no variable NOT_THERE"):
        await entry_of({"argv": ["/bin/true"], "environment": ["NOT_THERE"]}).plan()


async def test_program_that_does_not_exist_or_may_not_be_run_is_named(tmp_path: Path, entry_of: EntryOf) -> None:
    (tmp_path / "text").write_text("not a program")
    for program, reason in (("missing", "no program"), ("text", "may not execute"), (".", "no program")):
        with pytest.raises(TargetUnreachable, match=reason):
            await entry_of({"argv": [f"{tmp_path}/{program}"]}).plan()


async def test_program_that_every_user_may_change_is_not_run(tmp_path: Path, script: Script, entry_of: EntryOf) -> None:
    program = script("exit 0")
    (tmp_path / "script").chmod(0o757)
    with pytest.raises(TargetUnreachable, match="every user of this machine may change"):
        await entry_of({"argv": [program]}).plan()


async def test_program_that_vanished_since_the_plan_fails_the_run(flag, tmp_path: Path, entry_of: EntryOf) -> None:
    items = (await entry_of(flag).plan()).items
    (tmp_path / "switch_on").unlink()
    outcome = await entry_of(flag).apply(items)
    assert outcome.state is ItemState.FAILED
    assert outcome.detail.endswith("nothing was done")


async def test_program_without_an_interpreter_cannot_be_started(tmp_path: Path, entry_of: EntryOf) -> None:
    file = tmp_path / "script"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o755)
    outcome = await entry_of({"argv": [str(file)]}).do()
    assert (outcome.state, outcome.detail[:17]) == (ItemState.FAILED, "cannot be started")


HOSTILE = ["$(reboot)", "`id`", "a;b", "a b", "../x", "-rf", "--help", "a\x00b", "a\n", "", "é", "x" * 1_000_000, True]


@pytest.mark.parametrize("kind", ["name", "int", "duration", "address", "enum"])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
async def test_hostile_value_is_refused_before_anything_is_done(kind: str, value: object, entry_of: EntryOf) -> None:
    spec = {"type": kind, "values": ["a", "b"]} if kind == "enum" else {"type": kind}
    entry = entry_of({"argv": ["/bin/echo", "--is={who}"], "parameters": {"who": spec}})
    with pytest.raises(TargetUnknown):
        await entry.started_with(who=value).plan()


async def test_alert_uses_the_default_and_never_needs_more(entry_of: EntryOf) -> None:
    limit: dict[str, Any] = {"type": "int", "min": 0}
    settings = {"argv": ["/bin/echo", "{limit}", "{stack}", "{target}"], "parameters": {"limit": limit}}
    with pytest.raises(TargetUnknown, match="needs the parameter limit, which no alert sets"):
        await entry_of(settings).plan()
    limit["default"] = 7
    assert (await entry_of(settings).do()).detail == "ended with 0; it wrote:\n7 shop flag"


async def test_typed_values_are_written_as_one_text_each(entry_of: EntryOf) -> None:
    parameters = {"a": {"type": "int"}, "b": {"type": "duration"}, "c": {"type": "address"}, "d": {"type": "name"}}
    entry = entry_of({"argv": ["/bin/echo", "a={a}", "b={b}", "c={c}", "d={d}"], "parameters": parameters})
    started = entry.started_with(a=-3, b=timedelta(minutes=5), c="2001:DB8::7", d="shop.api_1@eu:x")
    assert (await started.do()).detail.endswith("a=-3 b=300 c=<ip> d=shop.api_1@eu:x")


async def test_entry_of_the_other_kind_is_refused(scope_of: Any) -> None:
    for name, settings in (
        ("http_call", {"argv": ["/bin/true"]}),
        ("run_command", {"method": "GET", "url": "http://x"}),
    ):
        scope = scope_of("commands", stack={"commands": {"flag": settings}}, name="flag")
        with pytest.raises(TargetUnknown, match="for it"):
            async with REMEDIATIONS[name].open(scope):
                pass


async def test_undo_of_an_entry_without_one_is_refused(flag, entry_of: EntryOf) -> None:
    items = (await entry_of(flag).plan()).items
    del flag["undo"]
    with pytest.raises(TargetUnknown, match="no undo"):
        await entry_of(flag).undoing(*items).plan()
