"""Incident n: a folder of exports fills the disk, so an operator lets the old ones be deleted."""

import os
import time

from demo.incidents.base import Incident, IncidentProof, Injection, InjectionFacts, check_claims
from demo.incidents.operated import end_of, not_by_alert
from demo.running import Demo

TARGET = "shop/folders/exports"
OLD, KEPT = 6, 2  # the newest stay, whatever their age, as the inventory says
DAY = 24 * 3600


async def _inject(demo: Demo) -> InjectionFacts:
    for number in range(OLD + KEPT):
        file = demo.paths.exports / f"orders-{number}.csv"
        file.write_text("order,total\n", encoding="utf-8")
        at = time.time() - (20 + number) * DAY
        os.utime(file, (at, at))
    (demo.paths.exports / "audit.csv").write_text("who,what\n", encoding="utf-8")
    return {"run": await demo.start("prune_files", TARGET)}


async def _prove(demo: Demo, injection: Injection) -> IncidentProof:
    run = await end_of(demo, injection)
    left = sorted(file.name for file in demo.paths.exports.iterdir())
    return check_claims(
        {"run": run["state"], "left": left},
        the_run_succeeded=run["state"] == "succeeded",
        only_the_newest_and_the_evidence_are_left=left == ["audit.csv", "orders-0.csv", "orders-1.csv"],
    )


async def _clear(demo: Demo) -> None:
    for file in demo.paths.exports.iterdir():
        file.unlink()


OLD_FILES = Incident(
    letter="n",
    name="old_files",
    story=f"{OLD + KEPT} old exports fill a folder; prune_files is started",
    remediation="prune_files",
    target=TARGET,
    alert={},
    expected="fixed",
    inject=_inject,
    seen=not_by_alert,
    prove=_prove,
    clear=_clear,
)
