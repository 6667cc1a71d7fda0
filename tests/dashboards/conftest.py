"""The promtool fixture, which evaluates the queries like Prometheus."""

from tests.rules.tools import promtool

__all__ = ["promtool"]
