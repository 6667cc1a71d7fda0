"""The names that others script against: flags, commands, metrics, keys of the inventory, alerts, routes of the API.

`python -m tools.release.interface` compares them with interface.txt beside this file. From 0.1.0 on, a line leaves it
only as docs/reference/compatibility.md says; `--write` adds the new ones, and with `--remove` drops the missing ones.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import typer.main
import yaml
from pydantic import BaseModel

from exporter.app import build_app
from exporter.settings import ExporterSettings
from remediator.app import build
from remediator.remediations import REMEDIATIONS
from remediator.settings import RemediatorSettings
from runbookctl.main import app as runbookctl
from runbookd.inventory import Inventory, Section, annotations_by_key
from runbookd.service.settings import read_settings
from tools.docs import REFERENCE, ROOT
from tools.docs.metrics_tables import METRICS

FILE = Path(__file__).with_suffix(".txt")
_ACTS = ("/api/v1/", "/-/", "/webhook", "/logout")  # the forms of the console's pages are its own
_THRESHOLD = re.compile(r"\b(runbook:[a-z0-9_]+:[a-z]+)\b")
_ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \|\s*([^|]*?)\s*\|", re.MULTILINE)


def interface() -> set[str]:
    """Return every name, one line each."""
    return {*_flags(), *_commands(), *_metrics(), *_inventory(), *_alerts(), *_routes()}


def _flags() -> Iterator[str]:
    for program, settings in (("runbook-exporter", ExporterSettings), ("runbook-remediator", RemediatorSettings)):
        yield from (f"flag {program} --{path.replace('_', '-')}" for path in _keys(settings))


def _commands() -> Iterator[str]:
    yield from _parameters("runbookctl", typer.main.get_command(runbookctl))


def _parameters(path: str, command: Any) -> Iterator[str]:
    """Yield the options of a command and of those below it."""
    options = (each for each in command.params if each.param_type_name == "option")
    yield from (f"command {path} {name}" for option in options for name in option.opts)
    for name, inner in getattr(command, "commands", {}).items():
        yield f"command {path} {name}"
        yield from _parameters(f"{path} {name}", inner)


def _metrics() -> Iterator[str]:
    for metrics in METRICS.values():
        yield from (_metric(each.name, each.type, each.labels) for each in metrics)
    page = (REFERENCE / "metrics" / "remediator.md").read_text(encoding="utf-8")
    yield from (_metric(name, kind, labels.split(", ")) for name, kind, labels in _ROW.findall(page))


def _metric(name: str, kind: str, labels: Any) -> str:
    return f"metric {name} {kind} {{{','.join(filter(None, labels))}}}"


def _keys(model: type[Any], path: str = "", above: tuple[type, ...] = ()) -> Iterator[str]:
    """Yield the keys of a model and of the models below it; the names of a map are `*`."""
    for variant in (model, *model.__subclasses__()):
        for name, annotation in _annotations(variant).items():
            key = f"{path}.{name}".lstrip(".")
            inner = [each for each in _models(annotation) if each[1] not in above]
            if not inner:
                yield key
            for suffix, kind in inner:
                yield from _keys(kind, f"{key}{suffix}", (*above, model))


def _inventory() -> Iterator[str]:
    yield from (f"key {path}" for path in _keys(Inventory))
    yield from (f"remediation {name}" for name in REMEDIATIONS)


def _alerts() -> Iterator[str]:
    """Yield the alerts, and the thresholds that a stack may have."""
    for file in (ROOT / "alert_rules").glob("*.yml"):
        groups = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        yield from (f"alert {rule['alert']}" for group in groups for rule in group["rules"] if "alert" in rule)
        yield from (f"threshold {name}" for name in _THRESHOLD.findall(file.read_text(encoding="utf-8")))


def _annotations(model: type[Any]) -> Mapping[str, Any]:
    """Return the annotations of a section, or of flags, by key."""
    if issubclass(model, Section):
        return annotations_by_key(model)
    return {name: field.annotation for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[tuple[str, type[Any]]]:
    """Yield the models of an annotation, each with what stands between its key and its own keys."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel | Section):
        yield "", annotation
        return
    is_map = isinstance(get_origin(annotation), type) and issubclass(get_origin(annotation) or object, Mapping)
    for argument in get_args(annotation):
        yield from ((f".*{suffix}" if is_map else suffix, kind) for suffix, kind in _models(argument))


def _routes() -> Iterator[str]:
    for name, application in (
        ("exporter", build_app(None, lambda: None)),
        ("remediator", build(read_settings(RemediatorSettings, [], "remediator"), Inventory())),
    ):
        for route in application.router.routes():
            path = route.resource.canonical if route.resource is not None else ""
            if route.method == "GET" or (path.startswith(_ACTS) and route.method != "HEAD"):
                yield f"route {name} {route.method} {path}"


def missing_and_new() -> tuple[list[str], list[str]]:
    """Return the names of the file that the code lacks, and those of the code that the file lacks."""
    known, found = set(FILE.read_text(encoding="utf-8").splitlines()), interface()
    return sorted(known - found), sorted(found - known)


def main() -> None:
    """Compare, or write; exit with 1 if a name is missing."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.interface", description=__doc__)
    parser.add_argument("--write", action="store_true", help="add the new names, if none is missing")
    parser.add_argument("--remove", action="store_true", help="with --write: also drop the missing names")
    arguments = parser.parse_args()
    missing, new = missing_and_new()
    for line in [*(f"missing: {each}" for each in missing), *(f"new: {each}" for each in new)]:
        print(line)
    if arguments.write and (arguments.remove or not missing):
        FILE.write_text("\n".join(sorted(interface())) + "\n", encoding="utf-8")
    elif missing:
        sys.exit(1)


if __name__ == "__main__":
    main()
