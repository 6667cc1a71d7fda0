"""Fetches missing PARTs into the checkout; without names, all that the tests need."""

import argparse
import sys
from collections.abc import Callable

from tools.toolchain.bootstrap import make_demo_python, make_python
from tools.toolchain.commit_hook import install_commit_hook
from tools.toolchain.debian import BROWSER, EXPORTERS, FAKETIME, PICTURES, SERVERS, VALKEY, fetch_group
from tools.toolchain.errors import SetupError
from tools.toolchain.node_modules import install_demo_modules, install_node_modules
from tools.toolchain.stamps import setup_lock
from tools.toolchain.wheels import fetch_wheels


def _fetch_valkey() -> None:
    """Fetch Valkey, whose archive not every mirror has; without it, its tests are skipped."""
    try:
        fetch_group(VALKEY)
    except SetupError as error:
        print(f"setup: continuing without Valkey, its tests will be skipped: {error}", file=sys.stderr)


def _fetch_faketime() -> None:
    """Fetch libfaketime; without it, chaos skips the faults of the clock."""
    try:
        fetch_group(FAKETIME)
    except SetupError as error:
        print(f"setup: continuing without libfaketime, no clock will be stepped: {error}", file=sys.stderr)


PARTS: dict[str, Callable[[], object]] = {
    "python": make_python,
    "servers": lambda: fetch_group(SERVERS),
    "wheels": fetch_wheels,
    "valkey": _fetch_valkey,
    "node": install_node_modules,
    "demo-python": make_demo_python,
    "demo-node": install_demo_modules,
    "browser": lambda: fetch_group(BROWSER),
    "pictures": lambda: fetch_group(PICTURES),
    "faketime": _fetch_faketime,
    "exporters": lambda: fetch_group(EXPORTERS),
    "hook": install_commit_hook,
}
_DEFAULT = ("python", "servers", "wheels", "valkey", "node", "hook")


def main() -> int:
    """Fetch the parts; return 0 if all are in place, 1 after a one-line error."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.toolchain", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    part_names = parser.parse_args().parts or _DEFAULT
    if unknown := set(part_names) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    return _run([PARTS[name] for name in part_names])


def _run(parts: list[Callable[[], object]]) -> int:
    try:
        with setup_lock():
            for part in parts:
                part()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename or "the checkout"
        print(f"setup: {error.strerror} ({place}): make the folder writable or free some space", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run make setup again to continue", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
