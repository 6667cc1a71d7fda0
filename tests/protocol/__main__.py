"""Prints the number of states of every search, and the counterexample of every seeded fault and limit."""

import sys

from tests.protocol.search import search
from tests.protocol.searches import FAULTS, HOLDS, HOLDS_FOR_LONG, LIMITS


def main() -> None:
    """Search all models; `--long` adds those that take minutes."""
    is_long = "--long" in sys.argv
    for name, model in {**HOLDS, **(HOLDS_FOR_LONG if is_long else {})}.items():
        print(f"\n# {name}\n{search(model)}", flush=True)
    for name, (model, _) in {**FAULTS, **LIMITS}.items():
        print(f"\n# fault or limit: {name}\n{search(model)}", flush=True)


if __name__ == "__main__":
    main()
