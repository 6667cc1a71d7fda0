"""The scrape job for many stacks assigns each stack to one exporter and one Prometheus server."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.rules.rulebook import ROOT
from tests.rules.tools import RunTool

STACKS = [f"stack_{number}" for number in range(300)]
SERVERS = 4


class _Discovery(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps([{"targets": ["any:9850"], "labels": {"stack": s, "__param_stack": s}} for s in STACKS])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def discovery() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Discovery) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/sd"
        server.shutdown()


def scraped(promtool: RunTool, config: str, folder: Path) -> list[Any]:
    (folder / "prometheus.yml").write_text(config)
    result = promtool("check", "service-discovery", "--timeout=3s", folder / "prometheus.yml", "runbook_exporter")
    assert result.returncode == 0, result.stderr
    return [each["labels"] for each in json.loads(result.stdout) if each["labels"]]


def test_each_stack_has_one_exporter_and_one_server(promtool: RunTool, tmp_path: Path, discovery: str) -> None:
    text = (ROOT / "deploy" / "prometheus-shards.yml").read_text()
    text = re.sub(r'url: "[^"]+"', f'url: "{discovery}"', text)
    exporters: dict[str, str] = {}
    for number in range(SERVERS):
        share = text.replace("modulus: 1,", f"modulus: {SERVERS},").replace('regex: "0"', f'regex: "{number}"')
        labels = scraped(promtool, share, tmp_path)
        assert not exporters.keys() & {each["stack"] for each in labels}, "a stack has two servers"
        assert 0.15 < len(labels) / len(STACKS) < 0.35
        assert len({each["__address__"] for each in labels}) == 3, "the exporters of a server are not its own"
        exporters |= {each["stack"]: each["__address__"] for each in labels}
    assert sorted(exporters) == sorted(STACKS)
    shares = Counter(exporters.values())
    assert sorted(shares) == [f"runbook-exporter-{number}.runbook-exporter:9850" for number in range(3)]
    assert min(shares.values()) > len(STACKS) / 5
