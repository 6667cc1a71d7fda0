"""The pages of the console with a ledger in PostgreSQL."""

from pathlib import Path

from tests.unit.remediator.console.pages.world import seed, visit

PAGES = (
    "/",
    "/stacks/shop",
    "/runs",
    "/runs?stack=shop&state=refused",
    "/runs?state=unfinished",
    "/pause",
    "/approvals",
)


async def test_pages_read_a_ledger_in_postgresql(tmp_path: Path) -> None:
    seeded = await seed(tmp_path)
    async with visit(seeded, tmp_path) as console:
        for path in (*PAGES, *(f"/runs/{run}" for run in seeded.runs.values())):
            await console.page(path)
        for unknown in ("stack=shp", "stack=%00", "remediation=clear%00"):
            await console.page(f"/runs?{unknown}", status=404)
        assert "max_items refuses: found 9, max_items is 5" in await console.words("/stacks/shop")
        assert (await console.post("/pause", reason="looks wrong", scope="shop")).status == 303
        assert "STOPPED: shop" in await console.words("/")
        assert (await console.post("/resume", scope="shop", reason="fine", typed="shop")).status == 303
