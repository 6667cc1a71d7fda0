"""Links and paths of pages lead to a file, a heading or a name; every page of docs/ is reachable from its index."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INDEX = Path("docs/README.md")
_LISTING = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
_FILES = subprocess.run(_LISTING, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
PAGES = [Path(file) for file in sorted(_FILES) if (ROOT / file).is_file()]
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_CODE_BLOCK = re.compile(r"^( *)(```+|~~~+).*?^\1\2", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"(`+)[^`].*?\1")
_TOP = "|".join(sorted(folder.name for folder in ROOT.iterdir() if folder.is_dir() and folder.name[0] not in ".0_"))
_PATH = re.compile(rf"`((?:{_TOP})/[\w./*{{}},-]+)(?:::\w+)?`")
_NAME_IN_FILE = re.compile(rf"`(\w+)` in `((?:{_TOP})/[\w./-]+\.\w+)`")
_ANY_STACK = re.compile(r"\b[A-Z]{2,}\b(?!\.md)")


@cache
def text_of(page: Path) -> str:
    """Return the page without its code blocks, which hold neither links nor headings."""
    return _CODE_BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))


def links(text: str) -> Iterator[str]:
    """Yield the relative targets of a text's links."""
    for target in _LINK.findall(_CODE_SPAN.sub("``", text)):
        if not re.match(r"[a-z][a-z+.-]*:", target):
            yield target


def anchors(text: str) -> set[str]:
    """Return the anchors of a text's headings, made as GitHub makes them: a repeated one gets a number."""
    found: set[str] = set()
    for heading in _HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        repeated = (f"{anchor}-{number}" for number in range(1, len(found) + 1))
        found.add(anchor if anchor not in found else next(each for each in repeated if each not in found))
    return found


def problem_of(page: Path, target: str) -> str | None:
    """Return why a link of `page` leads nowhere, or None."""
    place, _, anchor = target.partition("#")
    file = (ROOT / page.parent / place).resolve() if place else ROOT / page
    if not file.is_relative_to(ROOT) or not file.exists():
        return f"{page}: {target}: there is no such file"
    if anchor and file.suffix == ".md" and anchor not in anchors(text_of(file.relative_to(ROOT))):
        return f"{page}: {target}: there is no such heading"
    return None


def linked_pages(page: Path) -> set[Path]:
    """Return the Markdown files that `page` links to."""
    files = [(ROOT / page.parent / target.partition("#")[0]).resolve() for target in links(text_of(page))]
    return {file.relative_to(ROOT) for file in files if file.suffix == ".md" and file.is_relative_to(ROOT)}


def reachable(start: Path) -> set[Path]:
    """Return the pages that a reader reaches from `start` by links."""
    found, unread = {start}, {start}
    while unread:
        unread = {linked for page in unread for linked in linked_pages(page) if linked in PAGES} - found
        found |= unread
    return found


def missing_paths(text: str) -> Iterator[str]:
    """Yield the paths of the checkout that a text names in code, and names in files, that do not exist."""
    for path in _PATH.findall(text):
        yield from (each for each in _alternatives(_ANY_STACK.sub("*", path)) if not any(ROOT.glob(each)))
    for name, path in _NAME_IN_FILE.findall(text):
        if (ROOT / path).is_file() and not re.search(rf"\b{name}\b", (ROOT / path).read_text(encoding="utf-8")):
            yield f"{name} in {path}"


def _alternatives(path: str) -> Iterator[str]:
    """Yield the paths for which braces stand: `a/{b,c}.yml` is `a/b.yml` and `a/c.yml`."""
    before, brace, rest = path.partition("{")
    inner, _, after = rest.partition("}")
    for each in inner.split(",") if brace else [""]:
        yield f"{before}{each}{after}".rstrip("/")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_paths_and_names_in_code_exist(page: Path) -> None:
    assert list(missing_paths(text_of(page))) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_relative_links_and_anchors_resolve(page: Path) -> None:
    assert [problem for target in links(text_of(page)) if (problem := problem_of(page, target))] == []


def test_every_page_is_reachable_from_the_index() -> None:
    assert {page for page in PAGES if page.is_relative_to("docs")} - reachable(INDEX) == set()


def test_the_index_lists_every_page_except_the_parts_of_the_metrics() -> None:
    parts = ROOT / "docs" / "reference" / "metrics"
    pages = {page for page in PAGES if page.is_relative_to("docs") and not (ROOT / page).is_relative_to(parts)}
    assert pages - linked_pages(INDEX) == {INDEX}


@pytest.mark.parametrize(
    ("target", "is_broken"),
    [
        ("quickstart.md", False),
        ("quickstart.md#next", False),
        ("#documentation", False),
        ("nowhere.md", True),
        ("quickstart.md#nowhere", True),
        ("../../outside.md", True),
    ],
)
def test_broken_link_is_found(target: str, is_broken: bool) -> None:
    assert bool(problem_of(INDEX, target)) is is_broken


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`docs/README.md`, `alert_rules/*.yml`, `deploy/runbooks/STACK/`", []),
        ("`tests/style/test_links.py::missing_paths`", []),
        ("`alert_rules/{database,nothing}.yml`", ["alert_rules/nothing.yml"]),
        ("`deploy/nowhere/` and `docs/GONE.md`", ["deploy/nowhere", "docs/GONE.md"]),
        ("`ADAPTER_SERIES` in `tests/rules/test_names.py`", []),
        ("`OTHERS` in `tests/rules/test_names.py`", ["OTHERS in tests/rules/test_names.py"]),
        ("`/etc/runbookd/deploy/`", []),
    ],
)
def test_path_or_name_that_is_gone_is_found(text: str, missing: list[str]) -> None:
    assert list(missing_paths(text)) == missing


def test_links_in_code_and_to_other_sites_are_ignored() -> None:
    assert list(links("[a](b.md#c), `[d](e.md)` and [f](https://example.com/g.md)")) == ["b.md#c"]


def test_anchors_are_made_as_github_makes_them() -> None:
    assert anchors("# Recipients and timing\n## `runbookctl` (all)\n## Same\n## Same\n") == {
        "recipients-and-timing",
        "runbookctl-all",
        "same",
        "same-1",
    }
