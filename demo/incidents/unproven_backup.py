"""Incidents g and h: nobody knows whether the newest backup can be read, or restored.

Their alerts wait for an hour, as in production, so each is started as an operator would.
"""

from collections.abc import Mapping
from typing import Any

import obstore

from demo.bucket import list_backups, open_bucket
from demo.incidents.base import STACK, Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.metrics import ExporterPage
from demo.polling import poll
from demo.running import Demo
from runbookd.inventory import Marker, ProofKind, marker_name, read_marker

TARGET = "shop/backups/nightly"
RUN_SECONDS = 60
UNDER_WAY = frozenset({"planned", "prechecked", "deferred", "awaiting_approval", "admitted", "executing", "verifying"})


async def _forget(demo: Demo, proof: ProofKind) -> None:
    """Take the proofs of this kind away, as a lifecycle rule does that deletes small files."""
    bucket = open_bucket(demo.paths)
    entries = await bucket.list_async(prefix="db/").collect_async()
    if markers := [each["path"] for each in entries if each["path"].endswith(f".{proof}.json")]:
        await bucket.delete_async(markers)


async def _start(demo: Demo, remediation: str, proof: ProofKind) -> InjectionFacts:
    before = await list_backups(demo.paths)
    await _forget(demo, proof)
    return {"backups": before, "run": await demo.start(remediation, TARGET)}


async def _end_of(demo: Demo, number: int) -> Mapping[str, Any]:
    return await poll(lambda: demo.run(number), lambda run: run["state"] not in UNDER_WAY, RUN_SECONDS)


async def _newest_marker(demo: Demo, proof: ProofKind) -> Marker | None:
    newest = sorted(await list_backups(demo.paths))[-1]
    try:
        answer = await obstore.get_async(open_bucket(demo.paths), marker_name(newest, proof))
    except FileNotFoundError:
        return None
    return read_marker(bytes(await answer.bytes_async()))


async def _inject_unverified(demo: Demo) -> InjectionFacts:
    return await _start(demo, "verify_backup", ProofKind.VERIFIED)


async def _prove_unverified(demo: Demo, injection: Injection) -> IncidentProof:
    run = await _end_of(demo, injection.facts["run"])
    marker = await _newest_marker(demo, ProofKind.VERIFIED)
    return check_claims(
        {"run": run["state"], "checks": sorted(marker.checks) if marker is not None else []},
        the_run_succeeded=run["state"] == "succeeded",
        the_newest_backup_is_proven_again=marker is not None and marker.ok and marker.proves,
        no_backup_was_touched=await list_backups(demo.paths) == injection.facts["backups"],
    )


async def _inject_unrestored(demo: Demo) -> InjectionFacts:
    return await _start(demo, "restore_drill", ProofKind.RESTORED)


async def _prove_unrestored(demo: Demo, injection: Injection) -> IncidentProof:
    run = await _end_of(demo, injection.facts["run"])
    marker = await _newest_marker(demo, ProofKind.RESTORED)
    async with demo.database() as owner:
        left = await owner.fetchval("SELECT count(*) FROM pg_database WHERE starts_with(datname, 'runbook_drill_')")
    return check_claims(
        {"run": run["state"], "rows": dict(marker.rows) if marker is not None else {}},
        the_run_succeeded=run["state"] == "succeeded",
        the_newest_backup_was_restored=marker is not None and marker.ok,
        no_scratch_database_is_left=left == 0,
        no_backup_was_touched=await list_backups(demo.paths) == injection.facts["backups"],
    )


def _seen_unverified(page: ExporterPage) -> bool:
    return page.largest("backup_found", stack=STACK, target="nightly") == 1


UNVERIFIED_BACKUP = Incident(
    letter="g",
    name="unverified_backup",
    story="nobody knows whether the newest backup can be read; verify_backup is started",
    remediation="verify_backup",
    target=TARGET,
    alert={"alertname": "BackupNeverVerified", "stack": STACK, "target": "nightly"},
    expected="fixed",
    inject=_inject_unverified,
    seen=_seen_unverified,
    prove=_prove_unverified,
)
UNRESTORED_BACKUP = Incident(
    letter="h",
    name="unrestored_backup",
    story="nobody knows whether the newest backup can be restored; restore_drill is started",
    remediation="restore_drill",
    target=TARGET,
    alert={"alertname": "BackupNeverRestored", "stack": STACK, "target": "nightly"},
    expected="fixed",
    inject=_inject_unrestored,
    seen=_seen_unverified,
    prove=_prove_unrestored,
)
