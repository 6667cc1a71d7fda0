"""Writes pictures into docs/, small enough for a repository."""

import subprocess
from pathlib import Path

from tools.toolchain.errors import SetupError
from tools.toolchain.paths import ROOT, launcher

FOLDER = ROOT / "docs" / "pictures"
MAX_BYTES = 250_000


def write_picture(name: str, png: bytes, folder: str = "boards") -> int:
    """Write `docs/pictures/FOLDER/NAME.png` with a palette, and return its size.

    Raises SetupError if it is larger than MAX_BYTES.
    """
    small = _with_palette(png)
    file = FOLDER / folder / f"{name}.png"
    if len(small) > MAX_BYTES:
        raise SetupError(
            f"picture of {len(small)} bytes, at most {MAX_BYTES}", str(file), "make the board or page shorter"
        )
    _write(file, small)
    return len(small)


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _with_palette(png: bytes) -> bytes:
    """Reduce a picture to 256 colours, which the flat surfaces of a board hardly show."""
    program = [str(launcher("pngquant", "pictures")), "--speed", "1", "--strip", "256", "-"]
    result = subprocess.run(program, input=png, capture_output=True, check=False)
    if result.returncode != 0:
        raise SetupError(result.stderr.decode(errors="replace").strip(), "pngquant", "run make pictures again")
    return result.stdout
