"""Which tests run side by side: those of different files, but for the ones that share the checkout's one demo."""

import pytest
from xdist.scheduler import LoadFileScheduling

_DEMO = "tests/e2e/"


class _Scheduling(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return "demo" if nodeid.startswith(_DEMO) else super()._split_scope(nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demo's first: they are one after the other, and take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(_DEMO))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Scheduling:
    return _Scheduling(config, log)
