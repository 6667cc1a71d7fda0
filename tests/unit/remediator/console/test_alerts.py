"""The alerts of an open episode: all of them, the worst first."""

from remediator.console.alerts import alerts_of, worst_first
from tests.unit.remediator.console.test_timeline import episode


def test_worst_alert_of_a_storm_comes_first_however_late_it_came() -> None:
    entries = {
        f"f{number}": {"labels": {"alertname": f"A{number}", "priority": "P3"}, "annotations": {}}
        for number in range(500)
    }
    entries["f499"]["labels"]["priority"] = "P0"
    alerts = worst_first(alerts_of(episode(alerts=entries)))
    assert len(alerts) == 500
    assert alerts[0].name == "A499"
