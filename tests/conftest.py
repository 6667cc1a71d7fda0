"""Runs the files of tests in parallel, except those that share the checkout's only demo."""

import os
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from tests.ledger_template import ledgers_from_template

_DEMO = "tests/e2e/"
_STORE = "ledger/sqlite/"
# From those that wait longest to those that compute longest.
_ORDER = (
    _DEMO,
    "tests/integration/test_",
    "tests/integration/",
    "tests/unit/",
    "tests/style/",
    "tests/dashboards/",
    "tests/fuzz/",
    "tests/protocol/",
    "tests/rules/",
    "tests/invariants/",
    "",
)
# A busy machine may take seconds for any example.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# For `make test`: always the same examples. Without it, pytest looks for others at each run.
settings.register_profile("repeatable", derandomize=True, database=None)
# For mutants: the same, and no shrinking after the first failure.
settings.register_profile("mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
# A daemon logs otherwise. By default a traceback is drawn with all local variables, which takes seconds.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback


class _TwoEndedScheduling(LoadFileScheduling):
    """Half of the workers begin with the tests that wait for servers, the others with those that compute.

    So the cores are busy from the first to the last minute, and half of the workers start few servers.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "demo" if nodeid.startswith(_DEMO) else super()._split_scope(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self.nodes.index(node) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files at both ends, where the workers begin; the last to run are then short ones."""
    items.sort(key=lambda item: next(place for place, part in enumerate(_ORDER) if item.nodeid.startswith(part)))


@pytest.fixture(autouse=True)
def _ledgers_with_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    """Copy new ledgers from an empty one, except in the tests of the store."""
    with nullcontext() if _STORE in request.node.nodeid else ledgers_from_template():
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    if os.geteuid() != 0 and item.get_closest_marker("as_root"):
        pytest.skip("needs root")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _TwoEndedScheduling:
    config.option.loadscopereorder = False  # it would put files with one test last, such as ten minutes of chaos
    return _TwoEndedScheduling(config, log)
