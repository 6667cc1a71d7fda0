"""Five usual configurations of Alertmanager, and the changes that add the remediator to each."""

from collections.abc import Mapping
from typing import Any

import yaml

from tests.rules.rulebook import ROOT

SNIPPET = ROOT / "deploy" / "alertmanager.yml"


def _receivers(*names: str) -> str:
    return "receivers:\n" + "".join(
        f"  - {{name: {name}, webhook_configs: [{{url: 'http://127.0.0.1:8080/{name}'}}]}}\n" for name in names
    )


CONFIGURATIONS: Mapping[str, str] = {
    "root receiver is the chat": """
route: {receiver: chat, group_by: [alertname], repeat_interval: 12h}
"""
    + _receivers("chat"),
    "grouped by team": """
route:
  receiver: chat
  group_by: [team, alertname]
  routes:
    - matchers: ['team = "payments"']
      receiver: payments
      group_by: [alertname, instance]
      routes:
        - matchers: [severity = critical]
          receiver: payments_pager
    - match_re: {team: 'data|search'}
      receiver: data
"""
    + _receivers("chat", "payments", "payments_pager", "data"),
    "chain of continue": """
route:
  receiver: fallback
  routes:
    - receiver: archive
      continue: true
    - matchers: ['severity =~ "warning|critical"']
      receiver: chat
      continue: true
    - matchers: ['severity = critical']
      receiver: pager
"""
    + _receivers("fallback", "archive", "chat", "pager"),
    "time intervals": """
route:
  receiver: chat
  routes:
    - matchers: ['severity = critical']
      receiver: pager
      active_time_intervals: [office]
      continue: true
    - matchers: ['severity != critical']
      receiver: mail
      mute_time_intervals: [night]
time_intervals:
  - {name: office, time_intervals: [{weekdays: ['monday:friday'], location: UTC}]}
  - {name: night, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], location: UTC}]}
"""
    + _receivers("chat", "pager", "mail"),
    "inhibit rules": """
route:
  receiver: chat
  routes:
    - {matchers: ['severity = critical'], receiver: pager}
inhibit_rules:
  - source_matchers: ['severity = critical']
    target_matchers: ['severity = warning']
    equal: [alertname, stack]
"""
    + _receivers("chat", "pager"),
}


def with_remediator(own: str) -> dict[str, Any]:
    """Return the configuration after the three changes in the head of deploy/alertmanager.yml."""
    result: dict[str, Any] = yaml.safe_load(own)
    shipped = yaml.safe_load(SNIPPET.read_text())
    first, second = shipped["route"]["routes"]
    assert "matchers" not in second, "the second route has to take every alert"
    result["route"] = {"receiver": result["route"]["receiver"], "routes": [first, result["route"]]}
    result["receivers"].append(next(each for each in shipped["receivers"] if each["name"] == "remediator"))
    for rule in result.get("inhibit_rules", []):
        rule["target_matchers"].append('remediation = ""')
    return result
