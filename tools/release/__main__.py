"""The check-list of a release: `python -m tools.release`.

Each step passes or says what to do. Nothing is published: that stays with a person. The wheel, the source archive and
the list of components (SBOM) are in dist/ afterwards.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from runbookd.service.version import VERSION
from tools.docs import ROOT
from tools.docs.licences_page import LOCK
from tools.release.interface import missing_and_new

DIST, ENVIRONMENT = ROOT / "dist", ROOT / ".tools" / "release"
PROGRAMS = ("runbook-exporter", "runbook-remediator", "runbookctl")


class Unmet(Exception):
    """A step of the list is not met: one line that says what to do."""


def require_committed_tree() -> None:
    """Require that everything is committed."""
    if changed := _output("git", "status", "--short"):
        raise Unmet(f"commit or remove: {', '.join(line[3:] for line in changed.splitlines())}")


def require_changelog() -> None:
    """Require that the changelog has the version."""
    if not re.search(
        rf"^## \[{re.escape(VERSION)}\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    ):
        raise Unmet(f"CHANGELOG.md: rename [Unreleased] to [{VERSION}] with the date")


def require_licence() -> None:
    """Require a licence, which the owner chooses."""
    if not (ROOT / "LICENSE").exists():
        raise Unmet("LICENSE is missing; the owner chooses it, and names it in pyproject.toml (project.license)")


def require_interface() -> None:
    """Require every name that others script against."""
    missing, new = missing_and_new()
    if missing or new:
        raise Unmet(f"{len(missing)} names are missing, {len(new)} are new; see python -m tools.release.interface")


def require_tests() -> None:
    """Require that all tests pass, as .ci/run starts them."""
    _run(ROOT / ".ci" / "run")


def build() -> None:
    """Build the wheel and the source archive."""
    shutil.rmtree(DIST, ignore_errors=True)
    _tool("build")
    _run(ENVIRONMENT / "bin" / "python", "-m", "build", "--outdir", DIST, ROOT)


def require_working_wheel() -> None:
    """Require that the wheel has the three commands, beside the pinned packages alone."""
    _run(sys.executable, "-m", "venv", "--clear", ENVIRONMENT / "wheel")
    pip = ENVIRONMENT / "wheel" / "bin" / "pip"
    _run(pip, "install", "--quiet", "--require-hashes", "--requirement", LOCK)
    _run(pip, "install", "--quiet", "--no-deps", *DIST.glob("*.whl"))
    for program in PROGRAMS:
        if VERSION not in _output(ENVIRONMENT / "wheel" / "bin" / program, "--version"):
            raise Unmet(f"{program} --version does not say {VERSION}")


def require_no_known_vulnerability() -> None:
    """Require that no pinned package has a known vulnerability."""
    _tool("pip-audit")
    audit = ENVIRONMENT / "bin" / "pip-audit"
    _run(audit, "--requirement", LOCK, "--require-hashes", "--no-deps", "--strict", "--progress-spinner=off")


def write_components() -> None:
    """Write the SBOM (CycloneDX) of the wheel's environment."""
    _tool("cyclonedx-bom")
    program, file = ENVIRONMENT / "bin" / "cyclonedx-py", DIST / f"runbookd-{VERSION}.cdx.json"
    _run(program, "environment", ENVIRONMENT / "wheel" / "bin" / "python", "--output-file", file)


STEPS: Mapping[str, Callable[[], None]] = {
    "committed": require_committed_tree,
    "changelog": require_changelog,
    "licence": require_licence,
    "interface": require_interface,
    "tests": require_tests,
    "build": build,
    "wheel": require_working_wheel,
    "vulnerabilities": require_no_known_vulnerability,
    "components": write_components,
}


def main() -> None:
    """Run the named steps, or all; exit with 1 if one is not met."""
    if unknown := set(sys.argv[1:]) - set(STEPS):
        sys.exit(f"no such step: {', '.join(sorted(unknown))}; there are: {', '.join(STEPS)}")
    unmet = [name for name in sys.argv[1:] or STEPS if not _passes(name, STEPS[name])]
    sys.exit(f"not met: {', '.join(unmet)}" if unmet else 0)


def _passes(name: str, step: Callable[[], None]) -> bool:
    try:
        step()
    except Unmet as reason:
        print(f"no   {name}: {reason}")
        return False
    print(f"ok   {name}: {step.__doc__}")
    return True


def _tool(package: str) -> None:
    """Install a tool of the release into an environment of its own."""
    if not (ENVIRONMENT / "bin" / "pip").exists():
        _run(sys.executable, "-m", "venv", ENVIRONMENT)
    _run(ENVIRONMENT / "bin" / "pip", "install", "--quiet", package)


def _run(*command: str | Path) -> None:
    """Run a command, and show its output if it fails."""
    _output(*command)


def _output(*command: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        result = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        print(error.stdout, error.stderr)
        raise Unmet(f"{Path(command[0]).name} ended with {error.returncode}; its output is above") from None
    return result.stdout.rstrip()


if __name__ == "__main__":
    main()
