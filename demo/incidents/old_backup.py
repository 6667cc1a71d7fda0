"""Incident c: the newest backup is too old, because last night's dump was deleted."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.bucket import age_of, list_backups, open_bucket
from demo.errors import DemoError
from demo.incidents.base import STACK, Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.metrics import ExporterPage
from demo.restore import rows_in_dump
from demo.running import Demo

NAME = "old_backup"
TOO_OLD = timedelta(hours=26)


async def _inject(demo: Demo) -> InjectionFacts:
    before = await list_backups(demo.paths)
    young = [path for path in before if age_of(path) < TOO_OLD]
    if not young or len(young) == len(before):
        raise DemoError("the incident needs a recent backup and an older one; run `make demo-down demo-up`")
    await open_bucket(demo.paths).delete_async(young)
    return {"taken_away": young, "left": {path: before[path] for path in before if path not in young}}


def _seen(page: ExporterPage) -> bool:
    newest = page.largest("backup_last_success_timestamp_seconds", stack=STACK, target="nightly")
    checked = page.largest("backup_last_check_timestamp_seconds", stack=STACK, target="nightly")
    return 0 < newest < checked - TOO_OLD.total_seconds()


async def _prove(demo: Demo, injection: Injection) -> IncidentProof:
    now = await list_backups(demo.paths)
    older = injection.facts["left"]
    new_backups = sorted(path for path in now if path not in older)
    rows = 0
    if new_backups:
        with TemporaryDirectory(dir=demo.paths.root) as folder:
            dump = Path(folder) / "newest.dump"
            dump.write_bytes(bytes(await (await open_bucket(demo.paths).get_async(new_backups[-1])).bytes_async()))
            rows = await rows_in_dump(demo, dump)
    return check_claims(
        {"older_backups": len(older), "new_backups": new_backups, "rows_restored": rows},
        one_new_backup_is_in_the_bucket=len(new_backups) == 1,
        it_can_be_restored=rows > 0,
        the_older_backups_are_untouched=all(now.get(path) == older[path] for path in older),
    )


OLD_BACKUP = Incident(
    letter="c",
    name=NAME,
    story="the newest backup is older than the runbook allows",
    remediation="run_backup",
    target="shop/backups/nightly",
    alert={"alertname": "BackupTooOld", "stack": STACK, "target": "nightly"},
    expected="fixed",
    inject=_inject,
    seen=_seen,
    prove=_prove,
)
