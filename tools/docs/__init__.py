"""Generate docs/reference from code and rules: `python -m tools.docs.build`.

Tests compare each committed page with the generated one.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
