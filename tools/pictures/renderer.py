"""Fetches Grafana's component library, and bundles the page that draws boards with it."""

from pathlib import Path

from tools.toolchain.commands import run_logged
from tools.toolchain.node_modules import install_packages
from tools.toolchain.paths import ROOT, TOOLS, group_root, node_program

SOURCES = ROOT / "tools" / "pictures" / "renderer"
PAGE = TOOLS / "pictures-page"
ICONS = SOURCES / "node_modules" / "@grafana" / "ui" / "dist" / "public"
FONTS = group_root("browser") / "usr" / "share" / "fonts" / "opentype" / "inter"
_HTML = """\
<!doctype html>
<meta charset="utf-8">
<title>board</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<body>
<script src="page.js"></script>
"""


def build_page() -> None:
    """Write the page into `.tools/pictures-page`. Raises SetupError if npm or the bundler fails."""
    install_packages(SOURCES, "Grafana's component library (440 MB)")
    PAGE.mkdir(parents=True, exist_ok=True)
    (PAGE / "index.html").write_text(_HTML)
    for name, command in (("tsc", _type_checker()), ("esbuild", _bundler())):
        run_logged(name, command, cwd=SOURCES, remedy="correct the sources in tools/pictures/renderer")


def _type_checker() -> list[str | Path]:
    return [node_program(), _program("typescript/bin/tsc")]


def _bundler() -> list[str | Path]:
    return [
        node_program(),
        _program("esbuild/bin/esbuild"),
        "src/page.tsx",
        "--bundle",
        "--jsx=automatic",
        "--loader:.ttf=dataurl",
        '--define:process.env.NODE_ENV="production"',
        f"--outdir={PAGE}",
    ]


def _program(path: str) -> Path:
    return SOURCES / "node_modules" / path
