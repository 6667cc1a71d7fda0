"""Prometheus accepts every scrape job that the documentation shows."""

import re
import textwrap
from pathlib import Path

import pytest

from tests.rules.rulebook import ROOT
from tests.rules.tools import RunTool

BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
DISCOVERY = "kubernetes_sd_configs: [{role: node}]", "static_configs: [{targets: [node]}]"
"""promtool of Debian is built without the discovery of Kubernetes."""

EXAMPLES = [
    (page, textwrap.dedent(found[2]))
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
    if found[2].lstrip().startswith("scrape_configs:")
]


@pytest.mark.parametrize(("page", "text"), EXAMPLES, ids=[f"{page.stem}-{at}" for at, (page, _) in enumerate(EXAMPLES)])
def test_scrape_jobs_of_a_page_are_accepted(promtool: RunTool, tmp_path: Path, page: Path, text: str) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(text.replace(*DISCOVERY), encoding="utf-8")
    result = promtool("check", "config", "--syntax-only", file)
    assert result.returncode == 0, f"{page}: {result.stdout}{result.stderr}"


def test_every_platform_and_blackbox_exporter_has_an_example() -> None:
    pages = {page.stem for page, _ in EXAMPLES}
    platforms = {"measure-linux-hosts", "measure-windows-hosts", "measure-containers", "measure-serverless"}
    assert pages >= {*platforms, "probe-other-protocols"}
