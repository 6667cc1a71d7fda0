"""Reads the files that users write, in the encodings that their editors choose."""

import codecs
from pathlib import Path

# Marks at the beginning of a file. Windows' shell writes UTF-16, its editor UTF-8 with a mark.
_ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_text_file(file: Path) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with its mark; a mark is no part of the text.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is in another encoding.
    """
    return decode_text(file.read_bytes())


def decode_text(content: bytes) -> str:
    """Return the text in `content`; see `read_text_file`."""
    marks = (mark for mark in _ENCODINGS if content.startswith(mark) and len(content) > len(mark))
    encoding = _ENCODINGS.get(next(marks, b""), "utf-8")
    return content.decode(encoding)
