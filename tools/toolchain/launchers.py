"""Small scripts that start extracted programs with the libraries fetched beside them.

They locate the libraries relative to themselves, so a folder of packages can be copied anywhere.
"""

from pathlib import Path

_LAUNCHER = """\
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH="{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" exec "$root/{program}" "$@"
"""


def write_launchers(root: Path, programs: dict[str, str]) -> None:
    """Write `root/launchers/NAME` for each program, given by its path below `root`."""
    folder = root / "launchers"
    folder.mkdir()
    libraries = ":".join(f"$root/{path.relative_to(root)}" for path in _library_folders(root))
    for name, program in programs.items():
        launcher = folder / name
        launcher.write_text(_LAUNCHER.format(libraries=libraries, program=program))
        launcher.chmod(0o755)


def _library_folders(root: Path) -> list[Path]:
    """Return the folders of libraries: multiarch, PulseAudio (for Chromium), a wheel's `libs`."""
    multiarch = [*root.glob("lib/*-linux-gnu*"), *root.glob("usr/lib/*-linux-gnu*"), *root.glob("libs")]
    return [*multiarch, *(folder for each in multiarch for folder in each.glob("pulseaudio") if folder.is_dir())]
