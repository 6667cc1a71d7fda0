"""The dump and check that each set of deploy/runbooks writes make a whole backup, and refuse half of one."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.model.remediation import ItemState
from runbookd.inventory.backup_target import DumpSource
from tests.integration.remediator.remediations.run_backup.steps import apply, plan_of, script
from tools.toolchain.paths import launcher

SETS = Path(__file__).parents[5] / "deploy" / "runbooks"
STACKS = sorted(folder.name for folder in SETS.iterdir())


def target_of(stack: str) -> dict[str, Any]:
    """Return the only target of a set that run_backup can fill."""
    document = yaml.safe_load((SETS / stack / "inventory.yml").read_text())
    [target] = [each for each in document["stacks"][stack]["backups"].values() if "dump" in each]
    return dict(target)


def dump_of(target: dict[str, Any]) -> dict[str, Any]:
    """Return the commands, with PostgreSQL's programs from the toolchain."""
    source = DumpSource.model_validate({**target["dump"], "dsn_file": "/nowhere"})
    return {
        name: [str(launcher(word)) if word in {"pg_dump", "pg_restore"} else word for word in words]
        for name, words in (("command", source.command), ("check", source.check))
    }


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


@pytest.mark.parametrize("stack", STACKS)
async def test_dump_of_a_set_is_stored_under_the_name_of_its_runbook(scope, tmp_path: Path, stack: str) -> None:
    target, folder = target_of(stack), tmp_path / "backups"
    folder.mkdir()
    place = {"url": folder.as_uri(), "admin_options_file": None, "pattern": target["pattern"]}
    local = scope(dump_of(target), place)
    [item] = (await plan_of(local)).items
    outcome = await apply(local, item)
    assert (outcome.state, outcome.detail.count("ended with")) == (ItemState.APPLIED, 0)
    [backup] = [name for name in names_in(folder) if not name.endswith(".json")]
    content = (folder / backup).read_bytes()
    text = gzip.decompress(content) if backup.endswith(".gz") else content
    assert text.startswith(b"PGDMP" if backup.endswith(".dump") else b"--\n-- PostgreSQL database dump")
    assert not (await plan_of(local)).items


@pytest.mark.parametrize("stack", STACKS)
async def test_half_a_dump_of_a_set_is_not_stored(scope, shop: Any, tmp_path: Path, stack: str) -> None:
    target, folder = target_of(stack), tmp_path / "backups"
    folder.mkdir()
    dump = dump_of(target)
    command = " ".join(dump["command"])
    cut = script(tmp_path, f"{command} | head -c 20000")
    place = {"url": folder.as_uri(), "admin_options_file": None, "pattern": target["pattern"]}
    local = scope({**dump, "command": [cut]}, place)
    [item] = (await plan_of(local)).items
    outcome = await apply(local, item)
    assert outcome.state is ItemState.FAILED
    assert re.search(r"(pg_restore|zgrep|grep) ended with [12]", outcome.detail)
    assert names_in(folder) == []
