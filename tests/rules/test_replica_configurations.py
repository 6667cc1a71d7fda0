"""Prometheus and Alertmanager accept the configurations for several replicas and many stacks."""

import shutil
from pathlib import Path

import pytest

from tests.rules.rulebook import ROOT
from tests.rules.tools import RunTool

PROMETHEUS = ("compose/replicas-prometheus.yml", "kubernetes/prometheus.yml", "prometheus-shards.yml")


@pytest.mark.parametrize("file", PROMETHEUS)
def test_prometheus_accepts_the_configuration(promtool: RunTool, file: str) -> None:
    result = promtool("check", "config", "--syntax-only", "--lint-fatal", ROOT / "deploy" / file)
    assert result.returncode == 0, result.stdout + result.stderr


def test_alertmanager_accepts_the_configuration_of_the_replicas(amtool: RunTool, tmp_path: Path) -> None:
    config = shutil.copy(ROOT / "deploy" / "compose" / "replicas-alertmanager.yml", tmp_path)
    result = amtool("check-config", config)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 receivers" in result.stdout
