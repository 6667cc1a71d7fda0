"""The packages read as the loop: no circles, each knows only what it may, each says what it is for."""

import ast
import re
from graphlib import TopologicalSorter

import pytest

from tools.pictures.import_graph import PACKAGES, Graph, imports, modules
from tools.toolchain.paths import ROOT

# What each package may import of the others.
MAY_IMPORT = {
    "runbookd": set(),
    "exporter": {"runbookd"},
    "remediator": {"runbookd"},
    "runbookctl": {"runbookd", "exporter", "remediator"},
    "grafana": set(),
    # The page of invariants reads tests/.
    "tools": {"runbookd", "exporter", "remediator", "runbookctl", "grafana", "tests"},
    "demo": {"runbookd", "tools"},
    "soak": {"demo"},
    "chaos": {"runbookd", "remediator", "demo", "soak", "tools"},
    "benchmarks": {"runbookd", "exporter", "remediator", "runbookctl", "demo", "tools"},
}


def between_entries(folder: str) -> Graph:
    """Which files and folders directly in `folder` import which others of them."""
    graph: dict[str, set[str]] = {}
    for name, imported in imports().items():
        for other in imported:
            if name.startswith(f"{folder}.") and other.startswith(f"{folder}."):
                one, two = (each.removeprefix(f"{folder}.").split(".")[0] for each in (name, other))
                graph.setdefault(one, set()).update({two} - {one})
    return graph


def test_every_package_has_its_rule() -> None:
    assert set(MAY_IMPORT) == set(PACKAGES)


def folders() -> list[str]:
    return sorted({".".join(file.parent.relative_to(ROOT).parts) for file in modules().values()})


def test_files_do_not_import_each_other_in_a_circle() -> None:
    list(TopologicalSorter(imports()).static_order())


@pytest.mark.parametrize("folder", folders())
def test_entries_of_a_folder_do_not_import_each_other_in_a_circle(folder: str) -> None:
    list(TopologicalSorter(between_entries(folder)).static_order())


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_those_below_it(package: str) -> None:
    known = {*MAY_IMPORT, "tests"}
    used = {
        other.split(".")[0]
        for name, imported in imports().items()
        for other in imported
        if name.split(".")[0] == package
    }
    assert (used & known) - {package} <= MAY_IMPORT[package]


def test_the_model_of_the_remediator_imports_no_other_part_of_it() -> None:
    used = {other for name, imported in imports().items() if name.startswith("remediator.model.") for other in imported}
    assert {other for other in used if other.startswith("remediator.")} <= {
        name for name in modules() if name.startswith("remediator.model.")
    }


@pytest.mark.parametrize("folder", folders())
def test_a_folder_says_what_it_is_for_and_its_place_in_the_loop(folder: str) -> None:
    init = ROOT / folder.replace(".", "/") / "__init__.py"
    docstring = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
    assert len([line for line in docstring.splitlines() if line]) >= 2, docstring


@pytest.mark.parametrize("kind", sorted(file.parent.name for file in ROOT.glob("exporter/*/collector.py")))
def test_every_kind_of_target_has_the_same_shape(kind: str) -> None:
    """What a collector and its clients share is a state of its own, so that the arrows go one way."""
    collector, client, state = (f"exporter.{kind}.{part}" for part in ("collector", "client", "state"))
    assert client in imports()[collector]
    if state in modules():
        assert state in imports()[collector] & imports()[client]


def test_unit_tests_start_no_server_that_make_setup_fetches() -> None:
    files = (ROOT / "tests" / "unit").rglob("*.py")
    imported = {name for file in files for name in re.findall(r"^from (demo\.servers\.\w+)", file.read_text(), re.M)}
    assert imported <= {"demo.servers.ports"}, "start it in a test of tests/integration"


def test_the_map_of_contributing_names_every_folder() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = set(re.findall(r"(\w+)/", text.split("## The map")[1].split("## One change")[0]))
    kinds = {file.parent.name for file in ROOT.glob("exporter/*/collector.py")}
    every = {part for folder in folders() for part in folder.split(".")} - {"versions"} - kinds
    assert every - drawn == set(), "add it to the map of CONTRIBUTING.md"


def test_every_place_for_a_change_exists() -> None:
    """`<kind>` and the like stand for a name; PostgreSQL's metrics are in its parts."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("## One change, one place")[1].split("## House rules")[0]
    places = [re.sub(r"<\w+>", "*", place) for place in re.findall(r"`([\w<>]+/[\w<>/.]*)`", table)]
    assert len(places) > 10
    assert [place for place in places if not list(ROOT.glob(place))] == []
    kinds = {file.parent.name for file in (ROOT / "exporter").glob("*/collector.py")}
    assert {file.parent.name for file in ROOT.glob("exporter/*/metrics.py")} == kinds - {"postgres"}
