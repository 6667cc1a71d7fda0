"""promtool evaluates the boards' queries as Prometheus would."""

from tests.rules.tools import promtool

__all__ = ["promtool"]
