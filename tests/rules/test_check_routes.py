"""`runbookctl check` walks the routes of Alertmanager as Alertmanager's own tool does."""

from pathlib import Path

import pytest
import yaml

from runbookctl.check.routes import read_alertmanager
from tests.rules.own_configurations import CONFIGURATIONS, SNIPPET, with_remediator
from tests.rules.test_route_snippet import LABELS, receivers
from tests.rules.tools import RunTool

ODD_MATCHERS = """
route:
  receiver: root
  routes:
    - {receiver: a, match: {severity: critical}, match_re: {team: 'pay.*'}}
    - {receiver: b, matchers: ['severity!=critical,team=~"search|data"'], continue: true}
    - {receiver: c, matchers: ['{team!~"pay.+", remediation!=""}']}
    - {receiver: d, matchers: [' severity= warning', 'team = ""']}
receivers: [{name: root}, {name: a}, {name: b}, {name: c}, {name: d}]
"""
FILES = {
    **CONFIGURATIONS,
    **{f"{name}, with the remediator": yaml.safe_dump(with_remediator(text)) for name, text in CONFIGURATIONS.items()},
    "odd matchers": ODD_MATCHERS,
    "deploy": SNIPPET.read_text(),
}


@pytest.mark.parametrize("name", FILES)
def test_receivers_are_those_of_amtool(amtool: RunTool, tmp_path: Path, name: str) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(FILES[name])
    alertmanager = read_alertmanager(file)
    for labels in LABELS:
        assert list(alertmanager.receivers_of(labels)) == list(dict.fromkeys(receivers(amtool, file, labels))), labels
