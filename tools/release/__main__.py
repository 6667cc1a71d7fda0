"""The check-list of a release: `python -m tools.release`.

Each step passes, says what to do, or says why it could not be run here. Nothing is published: the script ends with the
commands that a person types. The wheel, the source archive and the list of components (SBOM) are in dist/ afterwards.
"""

import argparse
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools.docs import ROOT
from tools.docs.licences_page import LOCK
from tools.release.interface import missing_and_new
from tools.release.outside import run_outside
from tools.release.packages import PROGRAMS, PackageError, build_packages, build_wheel
from tools.toolchain.errors import SetupError
from tools.toolchain.paths import launcher

DIST, ENVIRONMENT = ROOT / "dist", ROOT / ".tools" / "release"
TOOLS_LOCK = ROOT / "requirements-release.lock"
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
_HEADING = re.compile(r"^## \[(?P<version>[^]]+)] - (?P<date>.+)$", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INIT = ("--runbook", "pmcrm", "--stack", "crm")


class Unmet(Exception):
    """A step of the list is not met: one line that says what to do."""


class NotRun(Exception):
    """A step cannot be run here: one line that says why, and what to do instead."""


def require_committed_tree() -> None:
    """Require that everything is committed."""
    if changed := _output("git", "status", "--short"):
        raise Unmet(f"commit or remove: {', '.join(line[3:] for line in changed.splitlines())}")


def require_changelog() -> None:
    """Require that the changelog begins with the version of pyproject.toml, and with a date."""
    newest = _HEADING.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    if newest is None or newest["version"] != VERSION:
        raise Unmet(f"CHANGELOG.md: begin with `## [{VERSION}] - DATE`, the version of pyproject.toml")
    if not _DATE.fullmatch(newest["date"]):
        raise Unmet(f"CHANGELOG.md: write the date of the release in place of {newest['date']}")


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
    _output(ROOT / ".ci" / "run")


def build() -> None:
    """Build the wheel and the source archive twice, with the same bytes, and the same wheel from the archive."""
    shutil.rmtree(DIST, ignore_errors=True)
    with TemporaryDirectory(prefix="runbookd-release-") as name:
        first, second = build_packages(DIST), build_packages(Path(name) / "again")
        third = build_wheel(first[0], Path(name) / "from-archive", Path(name) / "unpacked")
        for one, other in ((first[0], second[0]), (first[1], second[1]), (first[1], third)):
            if one.read_bytes() != other.read_bytes():
                raise Unmet(f"{one.name}: another build has other bytes; compare them with diffoscope")


def require_working_wheel() -> None:
    """Require that the wheel stands alone: three commands, and an installation by `init` that its own checks accept."""
    if not (wheels := list(DIST.glob("*.whl"))):
        raise Unmet("dist/ has no wheel; run the step build first")
    commands = _fresh_environment("wheel", LOCK, *wheels)
    for program in PROGRAMS:
        if VERSION not in _output(commands / program, "--version"):
            raise Unmet(f"{program} --version does not say {VERSION}")
    with TemporaryDirectory(prefix="runbookd-installed-") as name:
        _check_installation(commands, Path(name) / "set")


def _check_installation(commands: Path, folder: Path) -> None:
    """Write an installation, and check it with the tools of its readers."""
    _output(commands / "runbookctl", "init", folder, *_INIT, cwd=folder.parent)
    files = {"--prometheus": folder / "prometheus.yml", "--alertmanager": folder / "alertmanager.yml"}
    flags = [part for flag, file in files.items() for part in (flag, file)]
    _output(commands / "runbookctl", "check", "--config.file", folder / "inventory.yml", *flags, cwd=folder)
    try:
        tools = launcher("promtool"), launcher("amtool")
    except SetupError as error:
        raise NotRun(f"promtool and amtool: {error}") from None
    _output(tools[0], "check", "config", files["--prometheus"])
    _output(tools[1], "check-config", files["--alertmanager"])


def require_no_known_vulnerability() -> None:
    """Require that no pinned package has a known vulnerability."""
    audit = _fresh_environment("tools", TOOLS_LOCK) / "pip-audit"
    for service in ("pypi", "osv"):
        command: list[str | Path] = [
            audit,
            "--requirement",
            LOCK,
            "--require-hashes",
            "--no-deps",
            "--vulnerability-service",
            service,
        ]
        result = run_outside([*command, "--format", "json"], ROOT)
        if (packages := _audited(result.stdout)) is not None:
            if known := [f"{each['name']} {each['version']}" for each in packages if each["vulns"]]:
                raise Unmet(f"known vulnerabilities: {', '.join(known)}; see pip-audit -r {LOCK.name}")
            return
    raise NotRun("neither PyPI's nor OSV's database of vulnerabilities can be reached; run this step elsewhere")


def _audited(report: str) -> list[dict[str, Any]] | None:
    """Return the packages of a report of pip-audit, or None if it could not look each of them up."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return None
    return None if any("skip_reason" in each for each in packages) else packages


def write_components() -> None:
    """Write the list of components (CycloneDX), as installed by hash beside the wheel."""
    if not (python := ENVIRONMENT / "wheel" / "bin" / "python").exists():
        raise Unmet("run the step wheel first: the list is that of its environment")
    program, file = _fresh_environment("tools", TOOLS_LOCK) / "cyclonedx-py", DIST / f"runbookd-{VERSION}.cdx.json"
    _output(program, "environment", python, "--output-reproducible", "--output-file", file)


def require_documents() -> None:
    """Require that the generated pages, among them that of the licences, are those of this tree."""
    _output(sys.executable, "-m", "tools.docs.build")
    if changed := _output("git", "status", "--short", "docs"):
        raise Unmet(f"commit what `make docs` has written: {', '.join(line[3:] for line in changed.splitlines())}")


STEPS: Mapping[str, Callable[[], None]] = {
    "committed": require_committed_tree,
    "changelog": require_changelog,
    "licence": require_licence,
    "interface": require_interface,
    "documents": require_documents,
    "tests": require_tests,
    "build": build,
    "wheel": require_working_wheel,
    "vulnerabilities": require_no_known_vulnerability,
    "components": write_components,
}
BY_HAND = f"""\
The rest is yours:
  make soak WHEEL=1 && make chaos WHEEL=1         ten minutes each, on an idle machine
  docker build --tag runbookd:{VERSION} .            pin PYTHON_IMAGE by digest, and check the image
  sha256sum dist/*                                publish the sums beside the files
  git tag --sign v{VERSION} --message 'runbookd {VERSION}' && git push origin v{VERSION}"""


def main() -> None:
    """Run the named steps, or all; exit with 1 unless each is met."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"default: all, which are {', '.join(STEPS)}")
    names = parser.parse_args().steps or list(STEPS)
    if unknown := set(names) - set(STEPS):
        sys.exit(f"no such step: {', '.join(sorted(unknown))}; there are: {', '.join(STEPS)}")
    left = [name for name in names if not _passes(name, STEPS[name])]
    if names == list(STEPS):
        print(BY_HAND)
    sys.exit(f"not met or not run: {', '.join(left)}" if left else 0)


def _passes(name: str, step: Callable[[], None]) -> bool:
    try:
        step()
    except NotRun as reason:
        print(f"??   {name}: not run: {reason}", flush=True)
        return False
    except (Unmet, PackageError) as reason:
        print(f"no   {name}: {reason}", flush=True)
        return False
    print(f"ok   {name}: {step.__doc__}", flush=True)
    return True


def _fresh_environment(name: str, lock: Path, *packages: Path) -> Path:
    """Install pinned packages, and further files, in an environment of their own; return the folder of its commands."""
    environment = ENVIRONMENT / name
    _output(sys.executable, "-m", "venv", "--clear", environment)
    pip = environment / "bin" / "pip"
    _output(pip, "install", "--quiet", "--require-hashes", "--requirement", lock)
    if packages:
        _output(pip, "install", "--quiet", "--no-deps", *packages)
    return environment / "bin"


def _output(*command: str | Path, cwd: Path = ROOT) -> str:
    """Return what a command prints; print it if the command fails."""
    result = run_outside(command, cwd)
    if result.returncode:
        print(result.stdout, result.stderr)
        raise Unmet(f"{Path(command[0]).name} ended with {result.returncode}; its output is above")
    return result.stdout.rstrip()


if __name__ == "__main__":
    main()
