"""Runs the files of tests in parallel, except those that share the checkout's only demo."""

import os

import pytest
from hypothesis import Phase, settings
from xdist.scheduler import LoadFileScheduling

_DEMO = "tests/e2e/"
# For mutants: always the same examples, and no shrinking after the first failure.
settings.register_profile("mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])


class _SerialDemoScheduling(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return "demo" if nodeid.startswith(_DEMO) else super()._split_scope(nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the demo's tests first: they run one after the other and take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(_DEMO))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if os.geteuid() != 0 and item.get_closest_marker("as_root"):
        pytest.skip("needs root")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _SerialDemoScheduling:
    return _SerialDemoScheduling(config, log)
