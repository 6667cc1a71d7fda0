"""Bad input to `replay`, and a Prometheus that is not what it should be, get one line that names cause and remedy."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runbookctl.main import main
from tests.unit.remediator.payloads import delivery

INVENTORY = """
stacks:
  shop:
    runbook_url: https://runbooks.example/shop
    postgres: {main: {dsn: postgresql://127.0.0.1:1/shop}}
    remediations: {vacuum_tables: {mode: shadow}}
"""
Answer = tuple[int, str]
Handler = Callable[[int, str, dict[str, str]], Answer]


@pytest.fixture
def prometheus() -> Iterator[Callable[[Handler], str]]:
    """Return a function that starts an HTTP server, whose answers its argument decides, and returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Handler) -> str:
        count = [0]

        class Reply(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                count[0] += 1
                status, text = answer(count[0], f"{self.path}?{body}", dict(self.headers))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Reply)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function that runs the command and returns its exit status and what it reports."""
    file = tmp_path / "inventory.yml"
    file.write_text(INVENTORY, encoding="utf-8")
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)

    def run(*options: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["runbookctl", "replay", "--config.file", str(file), *options])
        status, output = main(), capsys.readouterr()
        return status, (output.err or output.out).strip()

    return run


def matrix(*samples: tuple[float, str], **labels: str) -> str:
    result = [{"metric": labels, "values": [[at, value] for at, value in samples]}] if samples else []
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def series(number: int) -> str:
    return json.dumps({"status": "success", "data": [{"alertname": f"A{each}"} for each in range(number)]})


def up(seconds_ago: float = 600) -> str:
    return matrix(((datetime.now(UTC) - timedelta(seconds=seconds_ago)).timestamp(), "1"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "no past is given; set --prometheus (PROMETHEUS_URL) or --deliveries"),
        (("--prometheus", "ftp://host"), "--prometheus: "),
        (("--prometheus", "http://127.0.0.1:1"), "does not answer: 127.0.0.1:1: the connection is refused"),
        (("--prometheus", "http://h", "--since", "30"), "--since: '30' is not a duration"),
        (("--prometheus", "http://h", "--since", "9999d"), "--since"),
        (("--prometheus", "http://h", "--since", "0s"), "--since 0s: set 1m to 400d"),
        (("--prometheus", "http://h", "--until", "yesterday"), "--until 'yesterday' is not a moment"),
        (("--prometheus", "http://h", "--until", "2026-01-01T00:00:00"), "has no zone"),
        (("--prometheus", "http://h", "--until", "2999-01-01T00:00:00Z"), "is in the future"),
        (("--prometheus", "http://h", "--step", "1h"), "--step 1h: set 1s to 5m"),
        (("--prometheus", "http://h", "--set", "nonsense"), "write PATH=VALUE"),
        (("--prometheus", "http://h", "--set", "stack.shop.x=1"), "did you mean 'stacks'?"),
        (("--prometheus", "http://h", "--set", "stacks.shp.limits.concurrency=1"), "did you mean 'shop'?"),
        (
            ("--prometheus", "http://h", "--set", "stacks.shop.remediations.vacuum_table.cooldown=1m"),
            "did you mean 'vacuum_tables'?",
        ),
        (
            ("--prometheus", "http://h", "--set", "stacks.shop.remediations.vacuum_tables.cooldwn=1m"),
            "stacks.shop.remediations.vacuum_tables.cooldwn: unknown key; did you mean 'cooldown'?",
        ),
        (
            ("--prometheus", "http://h", "--set", "stacks.shop.remediations.vacuum_tables.mode=auto"),
            "is required in mode auto by vacuum_tables",
        ),
        (("--prometheus", "http://h", "--set", "limits.storm={targets: [1}"), "limits.storm: is not valid YAML"),
        (
            ("--prometheus", "http://h", *(["--set", "limits.concurrency=2"] * 2)),
            "--set limits.concurrency is given twice",
        ),
        (("--prometheus", "http://h", "--set", "stacks.shop={}"), "--set stacks.shop: replaces too much; set one key"),
        (
            ("--prometheus", "http://h", "--set", "stacks.shop.remediations.vacuum_tables.mode=approve"),
            "vacuum_tables.mode: replaced by --mode auto, as each mode but off; add --mode inventory",
        ),
        (("--deliveries", "/nowhere", "--alert", "X=vacuum_tables@shop/postgres/main"), "leave them out with"),
        (("--deliveries", "/nowhere", "--plans", "/none"), "leave them out with"),
        (("--prometheus", "http://h", "--alert", "X"), "write it as NAME=REMEDIATION@TARGET"),
        (("--prometheus", "http://h", "--alert", "X=vacuum_table@shop/postgres/main"), "did you mean 'vacuum_tables'?"),
        (("--prometheus", "http://h", "--alert", "X=vacuum_tables@shop/postgres/mian"), "did you mean 'main'?"),
        (("--prometheus", "http://h", "--alert", "X=vacuum_tables@shpo/postgres/main"), "did you mean 'shop'?"),
        (("--prometheus", "http://h", "--alert", "X=vacuum_tables@shop/redis/main"), "works on postgres, not on redis"),
        (("--prometheus", "http://h", "--prometheus-user", "me"), "belong together; set both"),
        (("--prometheus", "http://h", "--prometheus-token-file", "/nowhere"), "/nowhere"),
        (("--prometheus", "https://h", "--prometheus-ca-file", "/nowhere"), "--prometheus-ca-file /nowhere: "),
        (("--deliveries", "/nowhere"), "cannot read /nowhere"),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(
    replay: Callable[..., tuple[int, str]], options: tuple[str, ...], expected: str
) -> None:
    status, error = replay(*options)
    assert status in (1, 2)
    assert expected in error, error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda *_: (401, "no"), "refuses the credential (status 401); set --prometheus-token-file"),
        (lambda *_: (404, "<html>"), "does not answer as Prometheus does (status 404)"),
        (lambda *_: (302, ""), "does not answer as Prometheus does (status 302)"),
        (lambda *_: (200, "[]"), "does not answer as Prometheus does (status 200)"),
        (
            lambda *_: (422, json.dumps({"status": "error", "error": "query processing\nwould load too many samples"})),
            "refuses the query: query processing would load too many samples",
        ),
        (lambda *_: (200, matrix()), "has no samples between"),
        (
            lambda *_: (
                200,
                json.dumps({"status": "success", "data": {"result": [{"metric": {}, "value": [1, "1"]}]}}),
            ),
            "does not answer as Prometheus does; check --prometheus",
        ),
    ],
)
def test_an_answer_that_is_not_a_past_is_explained(
    replay: Callable[..., tuple[int, str]], prometheus: Callable[[Handler], str], answer: Handler, expected: str
) -> None:
    status, error = replay("--prometheus", prometheus(answer), "--since", "1d")
    assert status == 1
    assert expected in error, error


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"remediation!": 0, "": 0}, "has no series ALERTS of this time; set a longer --since, or load"),
        ({"remediation!": 0, "": 3}, "3 alerts fired between"),
        ({"remediation!": 5001, "": 5001}, "more than 5000 alerts carry a remediation"),
    ],
)
def test_a_past_without_alerts_to_replay_says_what_is_missing(
    replay: Callable[..., tuple[int, str]], prometheus: Callable[[Handler], str], counts: dict[str, int], expected: str
) -> None:
    def answer(_number: int, request: str, _headers: dict[str, str]) -> Answer:
        if "/series" not in request:
            return 200, up()
        return 200, series(counts["remediation!" if "remediation" in request else ""])

    status, error = replay("--prometheus", prometheus(answer), "--since", "1d")
    assert (status, expected in error) == (1, True), error


def test_a_prometheus_that_dies_midway_is_named_with_the_page(
    replay: Callable[..., tuple[int, str]], prometheus: Callable[[Handler], str]
) -> None:
    def answer(number: int, request: str, _headers: dict[str, str]) -> Answer:
        if "/series" in request:
            return 200, series(1)
        return (200, up()) if "count%28up" in request or number < 5 else (503, "gone")

    status, error = replay("--prometheus", prometheus(answer), "--since", "30d")
    assert status == 1
    assert "fails with status 503" in error
    assert "while reading page 3 of 18 of ALERTS" in error, error


def test_a_warning_of_prometheus_is_a_note(
    replay: Callable[..., tuple[int, str]], prometheus: Callable[[Handler], str]
) -> None:
    labels = {"alertname": "Bloat", "stack": "shop", "target": "main", "remediation": "vacuum_tables"}

    def answer(_number: int, request: str, _headers: dict[str, str]) -> Answer:
        if "/series" in request:
            return 200, json.dumps({"status": "success", "data": [labels] if "remediation%21" in request else []})
        if "ALERTS" not in request:
            return 200, up()
        at = (datetime.now(UTC) - timedelta(minutes=10)).timestamp()
        return 200, json.dumps(json.loads(matrix((at, "1"), **labels)) | {"warnings": ["a store\nis away"]})

    status, report = replay("--prometheus", prometheus(answer), "--since", "1h")
    assert status == 0, report
    assert report.count("note: Prometheus warns, so its past may be incomplete: a store\ufffdis away") == 1


@pytest.mark.parametrize("kind", ["token", "password"])
def test_the_credential_of_a_file_is_sent_and_never_shown(
    replay: Callable[..., tuple[int, str]], prometheus: Callable[[Handler], str], tmp_path: Path, kind: str
) -> None:
    seen: list[str] = []

    def answer(_number: int, _request: str, headers: dict[str, str]) -> Answer:
        seen.append(headers.get("Authorization", ""))
        return 401, "no"

    file = tmp_path / "secret"
    file.write_text("planted-secret\n", encoding="utf-8")
    options = ["--prometheus-user", "me"] if kind == "password" else []
    status, error = replay("--prometheus", prometheus(answer), f"--prometheus-{kind}-file", str(file), *options)
    assert (status, "planted-secret" in error) == (1, False)
    assert seen == ["Bearer planted-secret" if kind == "token" else "Basic bWU6cGxhbnRlZC1zZWNyZXQ="]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("{}\n", ":1: not a line of an exported ledger"),
        ('{"format": "runbookd-deliveries/9", "since": "2026-01-01T00:00:00Z"}\n', ":1: not a line"),
        ('{"format": "runbookd-deliveries/1", "since": "2026-01-01T00:00:00Z"}\nnonsense\n', ":2: not a line"),
        ('{"format": "runbookd-deliveries/1", "since": "2026-01-01T00:00:00Z"}\n', "has no deliveries"),
    ],
)
def test_a_file_that_is_not_an_export_is_named_with_its_line(
    replay: Callable[..., tuple[int, str]], tmp_path: Path, text: str, expected: str
) -> None:
    file = tmp_path / "past.jsonl"
    file.write_text(text, encoding="utf-8")
    status, error = replay("--deliveries", str(file))
    assert status == 1 or expected != "has no deliveries"
    assert expected in error, error


def test_a_replay_of_weeks_counts_each_storm_and_says_when_the_deliveries_begin(
    replay: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    until = datetime.now(UTC).replace(microsecond=0)
    rows: list[object] = [{"format": "runbookd-deliveries/1", "since": (until - timedelta(days=20)).isoformat()}]
    for days, target in ((each, target) for each in (15, 10, 5) for target in ("main", "other", "third")):
        at = (until - timedelta(days=days)).isoformat()
        body = delivery(starts=at, target=target, remediation="vacuum_tables", fingerprint=f"{days}/{target}")
        rows.append({"delivery": {"received_at": at, "body": body.decode()}})
    (tmp_path / "past.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    targets = {name: {"dsn": "postgresql://127.0.0.1:1/shop"} for name in ("main", "other", "third")}
    limits = {"storm": {"targets": 2}}
    inventory = json.dumps({"limits": limits, "stacks": {"shop": {"postgres": targets}}})
    (tmp_path / "inventory.yml").write_text(inventory, encoding="utf-8")
    status, report = replay("--deliveries", str(tmp_path / "past.jsonl"), "--set", "limits.storm.targets=3")
    assert (status, "\nstorms: 3\n" in report) == (0, True), report
    assert re.search(r"  storms +3 +0\n", report), report
    assert f"the first delivery is of {until - timedelta(days=15):%Y-%m-%d %H:%M} UTC" in report


def test_a_replay_of_deliveries_says_what_block_on_means(
    replay: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    file = tmp_path / "past.jsonl"
    now = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    rows = [
        {"format": "runbookd-deliveries/1", "since": now},
        {"delivery": {"received_at": now, "body": delivery().decode()}},
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(INVENTORY.replace("mode: shadow", "mode: shadow, block_on: [Down]"), encoding="utf-8")
    status, report = replay("--deliveries", str(file))
    key = "stacks.shop.remediations.vacuum_tables.block_on"
    assert (status, f"note: {key}: deliveries do not tell which other alerts fired" in report) == (0, True), report
