"""Every example of an inventory in a page has only known keys and values, also the part of one."""

import re
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from runbookd.inventory import Inventory, InventoryError, annotations_by_key, load_inventory
from runbookd.inventory.model import Stack

ROOT = Path(__file__).resolve().parents[2]
_LISTING = ["git", "ls-files", "-co", "--exclude-standard", "docs", "*.md"]
_BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_OTHERS = re.compile("there is no |needs url and pattern")  # of a part: the rest of the inventory is left out
_ENTRY = frozenset({"argv", "method", "url"})  # an entry of `commands` has one


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each example of an inventory with its place, made whole."""
    listing = subprocess.run(_LISTING, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for file in sorted(set(listing)):
        if file.endswith(".md") and (ROOT / file).is_file():
            text = (ROOT / file).read_text(encoding="utf-8")
            for block in _BLOCK.finditer(text):
                if (whole := completed(block[1])) is not None:
                    yield f"{file}:{text[: block.start()].count(chr(10)) + 1}", whole


def completed(block: str) -> dict[str, Any] | None:
    """Return the inventory of which `block` is a part, or None for YAML of another kind."""
    text = textwrap.dedent(block).replace("…", "x")
    part = yaml.safe_load(f"commands:\n{text}" if text.startswith(" ") else text)
    if not isinstance(part, dict):
        return None
    if part.keys() <= annotations_by_key(Inventory).keys():
        return part
    if _is_stack(part):
        return {"stacks": {"shop": part}}
    if all(isinstance(each, dict) and _is_stack(each) for each in part.values()):
        return {"stacks": part}
    if any(isinstance(each, dict) and _ENTRY & each.keys() for each in part.values()):
        return {"stacks": {"shop": {"commands": part}}}
    return None


def _is_stack(part: Mapping[str, Any]) -> bool:
    return part.keys() <= annotations_by_key(Stack).keys()


def problems(inventory: Mapping[str, Any], folder: Path) -> list[str]:
    """Return what is wrong with an example, whatever the rest of its inventory says."""
    file = folder / "inventory.yml"
    file.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    try:
        load_inventory(file, {})
    except InventoryError as error:
        return [line for line in str(error).splitlines() if not _OTHERS.search(line)]
    return []


def test_examples_of_inventories_are_valid(tmp_path: Path) -> None:
    whole = dict(examples())
    assert any(place.startswith("docs/how-to/add-queries.md:") for place in whole)
    assert {place: wrong for place, each in whole.items() if (wrong := problems(each, tmp_path))} == {}


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("stacks:\n  shop:\n    postgres: {main: {dns: x}}\n", "unknown key; did you mean 'dsn'?"),
        ("    remediations:\n      run_backup: {mode: maybe}\n", "mode"),
        ("shop:\n  windows: {night: {days: [mon], from: '2', to: '04:00'}}\n", "from"),
        ("      a:\n        argv: [/bin/true]\n        chekc: [/bin/true]\n", "unknown key; did you mean 'check'?"),
        ("      a:\n        url: https://a\n        mehtod: GET\n    remediations:\n      x: {}\n", "mehtod"),
    ],
)
def test_mistake_in_an_example_is_found(block: str, problem: str, tmp_path: Path) -> None:
    whole = completed(block)
    assert whole is not None
    assert problem in "\n".join(problems(whole, tmp_path))


def test_yaml_of_another_kind_is_left_out() -> None:
    assert completed("route:\n  receiver: chat\n") is None
    assert completed("- alert: A\n") is None
