"""Prints the number of states of every search, and the counterexample of every seeded fault and limit."""

import argparse

from tests.protocol.search import search
from tests.protocol.searches import FAULTS, HOLDS, HOLDS_FOR_LONG, LIMITS


def main() -> None:
    """Search all models."""
    parser = argparse.ArgumentParser(prog="python -m tests.protocol", description=__doc__)
    parser.add_argument("--long", action="store_true", help="add the searches that take minutes")
    is_long = parser.parse_args().long
    for name, model in {**HOLDS, **(HOLDS_FOR_LONG if is_long else {})}.items():
        print(f"\n# {name}\n{search(model)}", flush=True)
    for name, (model, _) in {**FAULTS, **LIMITS}.items():
        print(f"\n# fault or limit: {name}\n{search(model)}", flush=True)


if __name__ == "__main__":
    main()
