"""Generate deploy/runbooks/STACK/alertmanager.yml: the routes of deploy/alertmanager.yml with a runbook's channels.

Routes, inhibition and times are the same for every stack, so only the channels are written here.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runbookd.yaml_text import load_yaml
from tools.docs import ROOT

SOURCE = ROOT / "deploy" / "alertmanager.yml"
FOLDER = ROOT / "deploy" / "runbooks"


@dataclass(frozen=True)
class Channels:
    """The channels that a runbook names; the rest stays as in deploy/alertmanager.yml."""

    source: str
    chat: str = ""
    mail: str = ""
    urgent: tuple[str, ...] = ()
    """Further chat channels, for P0 and P1 only; each is a receiver without its `#`."""


CHANNELS: Mapping[str, Channels] = {
    "clientforge": Channels("The runbook names no channel; replace ours."),
    "deelrx": Channels("The runbook names no channel; replace ours."),
    "formula_pm": Channels(
        'The channels are those of "Communication Channels".', chat="#formula-pm-alerts", mail="alerts@formulapm.com"
    ),
    "life_platform": Channels(
        'The channel #incidents is that of "Incident Response"; the runbook names no other for alerts.',
        urgent=("#incidents",),
    ),
    "pmcrm": Channels('The channels are those of "Alert Channels".', chat="#ops-alerts", urgent=("#ops-critical",)),
}


def runbook_routes() -> Iterator[tuple[Path, str]]:
    """Yield the Alertmanager file of each runbook."""
    for stack, channels in CHANNELS.items():
        source = load_yaml(SOURCE.read_text(encoding="utf-8"))
        content = yaml.safe_dump(_with_channels(source, channels), sort_keys=False, width=120, allow_unicode=True)
        yield FOLDER / stack / "alertmanager.yml", _heading(stack, channels) + content


def _heading(stack: str, channels: Channels) -> str:
    return (
        f"# Alertmanager for {stack}: the routes of deploy/alertmanager.yml, which explains each. {channels.source}\n"
        "# `make docs` writes this file from tools/docs/runbook_routes.py.\n"
    )


def _with_channels(source: Mapping[str, Any], channels: Channels) -> Mapping[str, Any]:
    config = deepcopy(dict(source))
    receivers = {receiver["name"]: receiver for receiver in config["receivers"]}
    chat = receivers["chat"]["slack_configs"][0]
    if channels.chat:
        chat["channel"] = channels.chat
    if channels.mail:
        receivers["mail"]["email_configs"][0]["to"] = channels.mail
    _, everybody = config["route"]["routes"]
    routes = everybody["routes"]
    for channel in channels.urgent:
        name = channel.removeprefix("#")
        config["receivers"].append({"name": name, "slack_configs": [{**chat, "channel": channel}]})
        place = next(number for number, route in enumerate(routes) if route["receiver"] == "chat") + 1
        routes.insert(place, {"receiver": name, "matchers": ['priority =~ "P0|P1"'], "continue": True})
    return config
