"""Fixtures for the tools that read rules and routes."""

from tests.rules.tools import amtool, promtool

__all__ = ["amtool", "promtool"]
