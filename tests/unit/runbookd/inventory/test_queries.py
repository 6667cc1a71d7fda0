"""Custom queries in the inventory: their metrics, and mistakes reported with their place."""

import re
from pathlib import Path

import pytest
import yaml

from runbookd.inventory import InventoryError, load_inventory

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "add-queries.md"
TARGET = """\
stacks:
  shop:
    postgres:
      main:
        dsn: postgresql://metrics@db/shop
        queries:
          logins: QUERY
"""


def load(folder: Path, text: str):
    file = folder / "inventory.yml"
    file.write_text(text)
    inventory = load_inventory(file, {})
    assert inventory is not None
    return inventory.stacks["shop"].postgres["main"].queries


@pytest.mark.parametrize(
    ("query", "metrics"),
    [
        ("{sql: SELECT 1, help: H}", ["custom_logins"]),
        ("{sql: SELECT 1, help: H, type: counter}", ["total"]),
        ("{sql: SELECT 1, values: {made: {help: M, type: counter}, lost: {help: L}}}", ["made_total", "lost"]),
        ("{sql: SELECT 1, values: {seen_total: {help: M, type: counter}}}", ["seen_total"]),
    ],
)
def test_metric_name_follows_query_column_and_type(tmp_path: Path, query: str, metrics: list[str]) -> None:
    logins = load(tmp_path, TARGET.replace("QUERY", query))["logins"]
    names = [logins.metric("logins", column) for column in logins.columns()]
    assert [name.removeprefix("custom_logins_") for name in names] == metrics


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("{help: H}", "logins.sql: is missing; add it"),
        ("{sql: '', help: H}", "logins.sql: must not be empty"),
        ("{sql: SELECT 1}", "needs help (the meaning of the column 'value')"),
        ("{sql: SELECT 1, help: H, values: {a: {help: H}}}", "help and type belong to each of the values"),
        ("{sql: SELECT 1, help: H, labels: [job]}", "labels: 'job' is reserved"),
        ("{sql: SELECT 1, help: H, labels: [a, a]}", "labels: the column 'a' is listed twice"),
        ("{sql: SELECT 1, help: H, labels: [value]}", "labels: the column 'value' is listed twice"),
        ("{sql: SELECT 1, help: H, labels: [createdAt]}", "labels.0: not a name; use lower-case letters"),
        ("{sql: SELECT 1, help: H, max_rows: 1001}", "max_rows: must be at most 1000"),
        ("{sql: SELECT 1, help: H, refresh: 0s}", "refresh must be at least 1s, timeout between 1s and 5m"),
        ("{sql: SELECT 1, help: H, timeout: 6m}", "refresh must be at least 1s, timeout between 1s and 5m"),
        ("{sql: SELECT 1, help: H, time_out: 6m}", "unknown key; did you mean 'timeout'?"),
        ("{sql: SELECT 1, values: {a: {hlep: H, help: H}}}", "values.a.hlep: unknown key; did you mean 'help'?"),
        (
            "{sql: SELECT 1, values: {a_b: {help: H}}}\n          logins_a: {sql: SELECT 1, values: {b: {help: H}}}",
            "main.queries.logins_a and stacks.shop.postgres.main.queries.logins both define custom_logins_a_b",
        ),
        (
            "{sql: SELECT 1, help: H}\n      other:\n        dsn: postgresql://db/other\n        queries:\n"
            "          logins: {sql: SELECT 1, help: H, labels: [a]}",
            "other.queries.logins and stacks.shop.postgres.main.queries.logins both define custom_logins, which needs",
        ),
    ],
)
def test_query_mistake_is_reported_with_its_place(tmp_path: Path, query: str, reason: str) -> None:
    with pytest.raises(InventoryError) as caught:
        load(tmp_path, TARGET.replace("QUERY", query))
    [problem] = map(str, caught.value.problems)
    assert reason in problem
    assert "inventory.yml" in problem


def test_two_targets_may_define_the_same_query(tmp_path: Path) -> None:
    other = (
        "{sql: SELECT 1, help: H}\n      other:\n        dsn: postgresql://db/other\n        queries:\n"
        "          logins: {sql: SELECT 2, help: I}"
    )
    assert load(tmp_path, TARGET.replace("QUERY", other))


def test_example_in_the_documentation_loads(tmp_path: Path) -> None:
    [example] = re.findall(r"```yaml\n(stacks:\n.*?queries:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert yaml.safe_load(example)
    assert set(load(tmp_path, example)) == {"active_users", "failed_oauth_logins", "searches"}
