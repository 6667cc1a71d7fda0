"""The engine harness of the unit tests."""

from tests.unit.remediator.conftest import bench, folder

__all__ = ["bench", "folder"]
