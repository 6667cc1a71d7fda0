"""What the pages say of the incidents in the ledger, and what no page does."""

import re
from dataclasses import replace
from urllib.parse import quote

import pytest
from aiohttp import ClientSession

from remediator.console.bound_rows import BoundRow, Gauge
from remediator.ledger import outbox, runs
from remediator.ledger.outbox import Draft
from remediator.ledger.schema import metadata
from tests.unit.remediator.console.pages.world import HOSTILE, ODD_STACK, Visit, words_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_stacks_show_the_worst_alert_and_what_waits(console: Visit) -> None:
    words = await console.words("/")
    assert "1 run waits for your yes or no" in words
    billing, shop = words.index("billing"), words.index("P0")
    assert billing < shop, "the stack that waits for an operator comes first"
    assert "2 of 10 runs used this hour" in words[shop:]  # two runs were admitted
    refused = f"Tried refused run {console.runs['refused']} 30 min ago max_items refuses: found 9, max_items is 5"
    assert refused in words
    assert "freeze xmas (until 2026-04-01 00:00 UTC: year end)" in words
    assert "1 open episode names a stack that the inventory does not have" in words


async def test_stack_says_why_no_run_helps_an_alert(console: Visit) -> None:
    words = await console.words("/stacks/shop")
    assert "Why not max_items refuses: found 9, max_items is 5 What next Nothing was touched: there are more" in words
    assert "the breaker" not in await console.words("/stacks/search")
    assert "Open breakers clear_folder on shop/postgres/third" in words
    assert "restore_drill never done" in words
    assert "window maintenance from 04 Mar 01:00 UTC 20:00" not in words
    assert "2 of 3 used this hour" in words
    assert _filled(await console.page("/stacks/shop"))[:2] == ["20.0", "66.7"], "the bars show what the words say"


def _filled(markup: str) -> list[str]:
    return re.findall(r'class="used" width="([\d.]+)"', markup)


async def test_times_are_in_utc_and_in_the_zone_of_the_stack(console: Visit) -> None:
    refused = await console.words(f"/runs/{console.runs['refused']}")
    assert "12:02:00 UTC 07:02 EST 30 min ago" in refused
    assert "CET" in await console.words("/stacks/billing")  # that of its window, as it names none itself


async def test_runs_are_filtered_by_the_address(console: Visit) -> None:
    words = await console.words("/runs?stack=shop&state=refused")
    assert f"run {console.runs['refused']} refused max_items" in words
    assert f"run {console.runs['succeeded']} succeeded" not in words
    assert f"run {console.runs['awaiting']} awaits approval" in await console.words("/runs?state=unfinished")
    assert "No run matches. Show all runs" in await console.words("/runs?stack=shop&state=rejected")
    assert "runbookctl runs --stack shop --state refused" in words


async def test_runs_are_paged_to_their_end(console: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.console.pages.runs.PAGE_SIZE", 3)
    path, found = "/runs", []
    for _ in range(len(console.runs)):
        markup = await console.page(path)
        found += re.findall(r'class="run" href="/runs/(\d+)"', markup)
        older = re.search(r'rel="next" href="([^"]+)"', markup)
        if older is None:
            break
        path = older[1].replace("&amp;", "&")
    assert [int(each) for each in found] == sorted(console.runs.values(), reverse=True)


@pytest.mark.parametrize("query", ["state=nonsense", "before=x", "before=0", "before=9999999999999999999"])
async def test_filter_that_cannot_be_is_a_page_with_its_reason(console: Visit, query: str) -> None:
    assert "must be" in await console.words(f"/runs?{query}", status=400)


async def test_succeeded_run_tells_plan_effects_and_proof_in_order(console: Visit) -> None:
    words = await console.words(f"/runs/{console.runs['succeeded']}")
    steps = [
        "FolderFull began to fire",
        "nothing happened for 3 min",
        "Alertmanager delivered it",
        "Planned a run",
        "Read the plan and judged its bounds",
        "18 bounds pass",
        "of this remediation",
        "Touched its 3 items: 3 applied",
        "applied name=file-0",
        "Repeated the reading that made the plan",
        "Succeeded",
        "to be touched 3 nothing",
    ]
    places = [words.index(step) for step in steps]
    assert places == sorted(places), dict(zip(steps, places, strict=True))


async def test_refused_run_shows_each_bound_with_its_numbers(console: Visit) -> None:
    markup = await console.page(f"/runs/{console.runs['refused']}")
    words = words_of(markup)
    assert "max_items refuses found 9, max_items is 5 9 of 5 items" in words
    assert 'class="gauge over"' in markup
    assert "runs in the last hour: 1 of 3 of this remediation" in words
    assert "Touched" not in words


async def test_time_that_has_passed_is_no_warning(console: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        BoundRow("cooldown", "defer", False, "over", [Gauge(600, 600, "s", until_full=True)]),
        BoundRow("min_firing", "defer", True, "too new", [Gauge(60, 120, "s", until_full=True)]),
    ]
    monkeypatch.setattr("remediator.console.pages.run.rows_of_run", lambda _: rows)
    markup = await console.page(f"/runs/{console.runs['refused']}")
    assert re.findall(r'class="gauge (\w*)"', markup) == ["", "passed"]
    assert "over passed: 10 min" in words_of(markup)
    assert "too new 1 min of 2 min" in words_of(markup)


async def test_run_that_waits_says_for_what_and_until_when(console: Visit) -> None:
    words = await console.words(f"/runs/{console.runs['awaiting']}")
    assert "waited for an approval for 30 min" in words
    assert re.search(r"Expires 16:02:00 UTC 17:02 CET in 3 h \d+ min ; then nothing is touched", words)


async def test_run_page_shows_what_became_of_its_messages(console: Visit) -> None:
    run = console.runs["ineffective"]
    async with console.context.ledger.write() as connection:
        episode = (await runs.get(connection, run)).episode
        draft = Draft("[shop] clear_folder: ineffective", "{}", "critical")
        await outbox.enqueue(connection, episode, "k", ["oncall"], draft, console.clock.now())
    assert "Message to oncall: not sent yet" in await console.words(f"/runs/{run}")


async def test_why_page_reads_the_target_and_records_nothing(console: Visit) -> None:
    words = await console.words(f"/runs/{console.runs['refused']}/why")
    assert "would be: refused (stale): the alert was last confirmed 30m ago, max_alert_age is 10m" in words
    assert "stale refuses the alert was last confirmed 30m ago, max_alert_age is 10m 30 min of 10 min" in words
    assert f"runbookctl why {console.runs['refused']}" in words
    last = max(console.runs.values())
    assert f"there is no run {last + 1}" in await console.words(f"/runs/{last + 1}", status=404)


@pytest.mark.parametrize(
    "path", ["/", "/stacks/shop", "/runs", "/runs/{refused}", "/runs/{unknown}", "/runs/{refused}/why"]
)
async def test_hostile_text_is_shown_harmless(console: Visit, path: str) -> None:
    markup = await console.page(path.format(**console.runs))
    assert "<script>alert" not in markup
    assert "<img src=x" not in markup
    assert not set("\u202e\x00\u200b") & set(markup)
    assert 'href="javascript:' not in markup


async def test_hostile_name_is_readable_with_its_hidden_characters_named(console: Visit) -> None:
    assert "⟨U+202E⟩evil<script>alert(1)</script>⟨U+0000⟩⟨U+200B⟩" in await console.words("/stacks/shop")
    assert HOSTILE.isprintable() is False


async def test_value_in_an_attribute_has_its_hidden_characters_named(console: Visit) -> None:
    markup = await console.page("/audit?head=%E2%80%AE%22%3E%3Cb%3Eevil")
    assert 'value="⟨U+202E⟩&#34;&gt;&lt;b&gt;evil"' in markup
    assert "\u202e" not in markup


@pytest.mark.parametrize(("path", "text"), [("/nope", "There is no page /nope."), ("/runs/x", "there is no run 'x'")])
async def test_unknown_page_is_a_page(console: Visit, path: str, text: str) -> None:
    assert text in await console.words(path, status=404)


@pytest.mark.parametrize("path", ["/stacks/shp", "/runs?stack=shp", "/start?stack=shp", "/duties?stack=shp"])
async def test_unknown_stack_names_the_nearest(console: Visit, path: str) -> None:
    assert "the inventory has no stack 'shp'; did you mean 'shop'?" in await console.words(path, status=404)


async def test_stack_that_only_the_ledger_knows_still_shows_its_runs(console: Visit) -> None:
    words = await console.words(f"/runs?stack={quote(ODD_STACK)}")
    assert f"run {console.runs['unknown']} refused unknown_target" in words


@pytest.mark.parametrize("path", ["/", "/stacks/shop", "/runs", "/runs/{succeeded}", "/pause"])
async def test_every_page_names_its_command_and_has_the_kill_switch(console: Visit, path: str) -> None:
    markup = await console.page(path.format(**console.runs))
    assert re.search(r'data-copy="runbookctl [^"]+"', markup)
    assert '<form method="post" action="/pause"' in markup


ACTS = (
    "/approvals/{awaiting}/approve?plan_hash=0",
    "/approvals/{awaiting}/reject?reason=x",
    "/pause?reason=x&scope=everything",
    "/resume?reason=x",
    "/questions/1/confirm",
    "/episodes/1/acknowledge",
    "/duties/shop/restore_drill/done",
    "/audit/verify",
    "/logout",
)
READS = ("/", "/stacks/shop", "/runs/{awaiting}", "/runs/{awaiting}/why", "/approvals/{awaiting}", "/start", "/report")


@pytest.mark.parametrize("path", [*READS, *ACTS])
async def test_get_changes_nothing(console: Visit, path: str) -> None:
    before = await _all_rows(console)
    await console.get(path.format(**console.runs))
    assert await _all_rows(console) == before


async def _all_rows(console: Visit) -> dict[str, list[tuple[object, ...]]]:
    """Return the ledger, without what no page decides: when sessions were used last, and attempts to send messages."""
    tables = [table for table in metadata.sorted_tables if table.name not in ("console_session", "outbox")]
    async with console.context.ledger.read() as connection:
        return {table.name: [tuple(row) for row in await connection.execute(table.select())] for table in tables}


async def test_command_to_copy_runs_nothing_that_the_address_adds(console: Visit) -> None:
    markup = await console.page(f"/runs?stack={quote(ODD_STACK)}&state=refused")
    command = "runbookctl runs --stack &#39;$(reboot); x&#39; --state refused"
    assert f'data-copy="{command}"' in markup
    assert f"<code>{command}</code>" in markup


async def test_headers_allow_only_our_own_script_and_style(console: Visit) -> None:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    for path in ("/", "/runs", "/nope", "/login", "/static/console.css"):
        answer = await console.get(path)
        assert answer.headers.get("Content-Security-Policy") == policy, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    assert (await console.get("/")).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/webhook", "/api/v1/status"])
async def test_machines_get_their_own_answers(console: Visit, path: str) -> None:
    answer = await console.get(path)
    assert "Content-Security-Policy" not in answer.headers
    assert answer.content_type != "text/html"


async def test_pages_hold_nothing_inline_that_the_policy_would_stop(console: Visit) -> None:
    for path in ("/", "/stacks/shop", "/runs", f"/runs/{console.runs['refused']}", "/pause", "/login"):
        markup = await console.page(path)
        assert not re.search(r"<style|<[^>]*\s(?:style|on\w+)=|<script(?![^>]*\ssrc=)", markup), path


async def test_static_file_is_kept_by_browsers_only_under_its_content(console: Visit) -> None:
    address = re.search(r'href="(/static/console\.css\?v=\w+)"', await console.page("/"))
    assert address
    assert "immutable" in (await console.get(address[1])).headers["Cache-Control"]
    assert (await console.get("/static/console.css")).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["../console.py", "..%2Fconsole.py", "%2e%2e/rendering.py", "%2Fetc%2Fpasswd", "console.css%00"]
)
async def test_path_outside_the_static_files_is_not_found(console: Visit, path: str) -> None:
    answer = await console.get(f"/static/{path}")
    assert answer.status == 404
    assert "import" not in await answer.text()


async def test_pages_need_a_session(console: Visit) -> None:
    async with ClientSession(console.session._base_url) as stranger:
        console = replace(console, session=stranger)
        await _leads_to_sign_in(console)


async def _leads_to_sign_in(console: Visit) -> None:
    for path in ("/", "/stacks/shop", "/runs", "/runs/1", "/runs/1/why", "/pause"):
        assert (await console.get(path)).status == 303, path
