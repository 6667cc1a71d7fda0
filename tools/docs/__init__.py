"""`python -m tools.docs.build` writes the pages and tables of docs/ that follow from code and rules.

A test compares each page with what this would write.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
