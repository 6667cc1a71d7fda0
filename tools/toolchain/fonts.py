"""Restricts the fetched browser to its own fonts: a page then looks the same on every machine, and fits or not."""

from pathlib import Path

_CONFIGURATION = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <alias><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>sans-serif</family><prefer><family>Inter</family><family>DejaVu Sans</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


def write_font_configuration(root: Path) -> None:
    """Write `root/fonts.conf`, for the variable FONTCONFIG_FILE; its paths are relative to the file."""
    (root / "fonts.conf").write_text(_CONFIGURATION)
