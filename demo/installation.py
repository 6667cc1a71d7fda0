"""Where the product's commands come from: the checkout, or its wheel in an environment of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from demo.launch import launch_command
from demo.paths import CHECKOUT
from demo.servers.process import Launch
from tools.release.packages import build_packages, install_wheel
from tools.toolchain.paths import VENV


@dataclass(frozen=True)
class Installation:
    """A folder of the product's commands, and the variables with which they find their modules."""

    commands: Path = VENV / "bin"
    variables: Mapping[str, str] = field(default_factory=lambda: {"PYTHONPATH": str(CHECKOUT)})

    def launch(self, program: str, *arguments: str, cwd: Path, variables: Mapping[str, str] | None = None) -> Launch:
        """Return the start of a command such as `runbook-exporter`, with further variables."""
        return launch_command([self.commands / program, *arguments], cwd, {**self.variables, **(variables or {})})


def installed(folder: Path, *, wheel: bool) -> Installation:
    """Return the checkout as it is, or build its wheel and install that below `folder`.

    Raises PackageError if the wheel cannot be built or does not stand alone.
    """
    if not wheel:
        return Installation()
    _, file = build_packages(folder / "dist")
    return Installation(install_wheel(file, folder / "environment"), {"PYTHONPATH": ""})
