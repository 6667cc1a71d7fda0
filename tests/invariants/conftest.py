"""The engine harness of the unit tests."""

from tests.unit.remediator.conftest import folder, harness

__all__ = ["folder", "harness"]
